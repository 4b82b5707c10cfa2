"""What runs (config.yaml) and where (site.yaml)."""

import re
from pathlib import Path

import pytest
import yaml

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.factory import reference_method
from phonsmith.labels.protocol import Allocation
from phonsmith.running.site import Site, load_config, load_site


def test_everything_but_the_campaigns_has_a_default(tmp_path):
    config = load_config({"campaigns": ["si-demo"]})
    assert config.mirrors == []
    assert load_config({"campaigns": ["si-demo"], "mirrors": None}).mirrors == []
    site = load_site(tmp_path / "site.yaml")  # there is none
    assert site.wishes("cpu")["slurm_partition"] == "cpu"
    assert site.wishes("gpu")["slurm_partition"] == "gpu"


def test_the_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("SETS", "/sets")
    mirrors = ["~/data", "../data", "$SETS/a", "${SETS}/b"]
    config = load_config({"campaigns": ["si-demo"], "mirrors": mirrors})
    assert config.mirrors == ["/home/somebody/data", str(Path("../data")), "/sets/a", "/sets/b"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("$NOT_SET/x", "variable NOT_SET is not set"),
        ("${NOT_SET}", "variable NOT_SET is not set"),
        ("$EMPTY/x", "variable EMPTY is not set"),
        ("a/$", r"\$ marks"),
        ("~nobody-here/x", "unknown home folder"),
    ],
)
def test_no_folder_is_made_whose_name_is_a_variable(monkeypatch, tmp_path, folder, words):
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.chdir(tmp_path)
    for key in ("label_store", "mirrors"):
        given = folder if key == "label_store" else [folder]
        with pytest.raises(PhonsmithError, match=rf"config/config\.yaml: {key}.*: .*{words}"):
            load_config({"campaigns": ["si-demo"], key: given})
    scratch = Path(folder)
    with pytest.raises(PhonsmithError, match=rf"site\.yaml: scratch: .*{words}.*`setup`"):
        Allocation(1, scratch).here()
    assert not list(tmp_path.iterdir())


def test_scratch_is_filled_in_where_the_job_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JOB", "7")
    monkeypatch.chdir(tmp_path)
    asked = {"method": "vasp", "potcars": {"Si": "Si"}, "kspacing_per_angstrom": 0.2}
    for scratch, place in (("~/$JOB", "7"), ("results/c/labels/work", "results/c/labels/work")):
        method = reference_method(
            {**asked, "encut_ev": 300}, allocation=Allocation(1, Path(scratch))
        )
        assert method.allocation.work == tmp_path / place


def test_what_is_checked_once_is_the_same_checked_again():
    config = load_config({"campaigns": ["si-demo"], "mirrors": ["~/data"]})
    assert load_config(config.model_dump()) == config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "campaigns: is missing"),
        ({"campaigns": "si-demo"}, r"campaigns: .*list.*'si-demo'"),
        ({"campaigns": []}, "campaigns: .*at least 1"),
        ({"campaigns": ["../si-demo"]}, "campaigns.0: a name consists of letters"),
        ({"campaigns": ["a"], "mirror": []}, "mirror: unknown key"),
        ({"campaigns": ["a"], "mirrors": [3]}, "mirrors.0: .*string"),
        ({"campaigns": ["a"], "partitions": {"cpu": "x"}}, "partitions: unknown key"),
        ({"campaigns": ["a"], "label_store": __file__}, "label_store: .*not a writable"),
        ({"campaigns": ["a"], "label_store": f"{__file__}/a/b"}, "label_store: .*not a writable"),
        ({"campaigns": ["a"], "label_store": "a\0b"}, "label_store: .*control characters"),
    ],
)
def test_a_fault_is_named_with_file_and_key(config, words):
    with pytest.raises(PhonsmithError, match=r"config/config\.yaml: ") as caught:
        load_config(config)
    assert re.search(words, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cpu: {partitions: x}", "cpu.partitions: unknown key; did you mean 'partition'"),
        ("cpu: {partition: ''}", "cpu.partition: .*pattern"),
        ("cpu: {partition: 'a; rm -r x'}", "cpu.partition: .*pattern"),
        ("gpu: {partition: g, gres: 'a100:1'}", "gpu.gres: .*pattern"),
        ("cpu: {partition: c, gres: 'gpu:1'}", "cpu.gres: unknown key"),
        ("cpu: {partition: c, constraint: '$(id)'}", "cpu.constraint: .*pattern"),
        ("max_minutes: 0", "max_minutes: .*greater than 0"),
        ("max_minutes: 24:00:00", "line 1: YAML reads 24:00:00 as a base-60 number; .*minutes"),
        ("max_minutes: 1:30.5", "line 1: YAML reads 1:30.5 as a base-60"),
        ("max_minutes: 1-00:00:00", "max_minutes: .*valid integer"),
        ("setup: module load qe", r"setup: .*list.*'module load qe'"),
        ("max_memory_mb: 240", "max_memory_mb: .*1000.*240"),
        ("- cpu", "must be a mapping"),
    ],
)
def test_a_fault_in_the_site_file_likewise(tmp_path, text, words):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(PhonsmithError, match=r"site\.yaml: ") as caught:
        load_site(path)
    assert re.search(words, str(caught.value))
    assert "\n" not in str(caught.value)


def test_the_example_is_a_site_with_all_lines_taken_in(repository, tmp_path):
    """As it is, and with every line that stands behind a # alone."""
    example = (repository / "config/site.example.yaml").read_text()
    path = tmp_path / "site.yaml"
    path.write_text(example)
    assert load_site(path) == Site()
    text = re.sub(r"^( *)# (?=\w+:( |$)|  - )", r"\1", example, flags=re.MULTILINE)
    path.write_text(text)
    site = load_site(path)
    assert set(yaml.safe_load(path.read_text())) == set(Site.model_fields)
    assert all(site.wishes("gpu").values())
    assert site.setup and site.scratch and site.max_minutes and site.max_memory_mb


def test_lines_of_the_example_can_be_deleted(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("cpu:\ngpu: {account: mine}\nsetup:\n")
    site = load_site(path)
    assert site.cpu == Site().cpu
    assert site.wishes("gpu") == {**Site().wishes("gpu"), "slurm_account": "mine"}


def test_the_setup_runs_once_in_a_job_and_leaves_an_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    ran = tmp_path / "ran"
    site = Site(setup=[f"echo x >> {ran}", "export A='x y' B=$SLURM_JOB_ID", "unset HOME"])
    left = site.environment()
    assert (left["A"], left["B"]) == ("x y", "7")
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert site.environment() == {}
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert site.environment()["B"] == "8"
    assert ran.read_text() == "x\nx\n"


def test_a_line_of_the_setup_that_fails_is_said(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(PhonsmithError, match=r"setup: a line fails on .*exit status 1"):
        Site(setup=["false", "true"]).environment()
