"""What jobs of a campaign ask a cluster for."""

import re

from tests.campaigns import TINY
from tests.project import Project


def test_jobs_ask_a_cluster_for_what_they_need(tmp_path, repository):
    mace = {"calculator": "mace", "model": "own.model", "trust": True}
    fits = {
        "gap": TINY["fits"]["gap"],
        "mace": {"kind": "mace"},
        "mace-cpu": {"kind": "mace", "device": "cpu"},
        "own": {"kind": "existing", "potential": mace},
        "own-cpu": {"kind": "existing", "potential": {**mace, "arguments": {"device": "cpu"}}},
    }
    project = Project(tmp_path, repository, tiny={**TINY, "fits": fits})
    (tmp_path / "own.model").write_bytes(b"\x80")  # as a pickle begins
    project.place_it(
        cpu={"partition": "small", "account": "one"},
        gpu={"partition": "large", "account": "two", "qos": "short", "constraint": "a100"},
        max_minutes=45,
    )
    jobs = [job for job in project.planned_jobs("slurm") if "slurm_partition" in job]
    for job in jobs:
        assert int(job["runtime"]) <= 45
        large = job["slurm_partition"] == "large"
        asked = {key: job.get(key) for key in ("slurm_account", "qos", "constraint")}
        wanted = ("two", "short", "a100") if large else ("one", None, None)
        assert tuple(asked.values()) == wanted, job
        if job["rule"] in ("fit", "fit_phonons", "fit_errors"):
            on_gpu = job["fit"] in ("mace", "own")
            assert job["gpu"] == ("1" if on_gpu else "0"), job
            assert job["slurm_partition"] == ("large" if on_gpu else "small"), job
    assert {job["fit"] for job in jobs if job["rule"] == "fit_phonons"} == set(fits)
    labels = [job for job in jobs if job["rule"] == "label_batch"]
    assert {job["slurm_partition"] for job in labels} == {"small"}
    assert {job["threads"] for job in labels} == {"16"}  # of 128 cores, 4 jobs
    phonons = [job for job in jobs if job["rule"] == "fit_phonons"]
    assert {job["threads"] for job in phonons} == {"12"}  # of 128 cores, 10 jobs


def test_a_teacher_that_is_a_mace_labels_on_gpus(tmp_path, repository):
    mace = {"calculator": "mace", "model": "own.model", "trust": True}
    fits = {"gap": TINY["fits"]["gap"]}
    thermodynamics = {"quasi_harmonic": False}
    campaign = {**TINY, "reference": {"method": "calculator", "potential": mace}, "fits": fits}
    project = Project(tmp_path, repository, tiny={**campaign, "thermodynamics": thermodynamics})
    (tmp_path / "own.model").write_bytes(b"\x80")  # as a pickle begins
    jobs = project.planned_jobs("slurm")
    asked = {job["rule"]: job["gpu"] for job in jobs if "gpu" in job and "method" not in job}
    teacher = {"label_batch", "label_isolated_atoms", "relax_structure"}
    assert {rule for rule, gpus in asked.items() if gpus == "1"} == teacher
    methods = {job["method"]: job["gpu"] for job in jobs if job["rule"] == "thermodynamics"}
    assert methods == {"reference": "1", "gap/gen0": "0"}


def test_cells_are_chosen_on_gpus_where_a_mace_judges_them(tmp_path, repository):
    goal = {"rmse_thz": 0.1, "harmonic_only": True}
    loop = {"max_generations": 2, "cells_per_structure": 2, "goal": goal}
    committee = {**loop, "selection": {"method": "committee"}}
    moving = {**loop, "selection": {"dynamics": {"temperature_kelvin": 300}}}
    gap, mace = TINY["fits"]["gap"], {"kind": "mace"}
    one = {**TINY, "structures": {"mp-149": TINY["structures"]["mp-149"]}}
    campaigns = {
        "committee": {
            **one,
            "fits": {"mace": {**mace, "repeats": 2, "resampled": True}},
            "loop": committee,
        },
        "moving": {**one, "fits": {"mace": mace}, "loop": moving},
        "other": {**one, "fits": {"gap": gap, "mace": mace}, "loop": moving},
    }
    project = Project(tmp_path, repository, **campaigns)
    targets = [f"results/{name}/supercells/gen1/mp-149.extxyz" for name in campaigns]
    jobs = project.planned_jobs("slurm", *targets)
    chosen = {job["campaign"]: job for job in jobs if job["rule"] == "add_supercells"}
    where = {name: (job["slurm_partition"], job["gpu"]) for name, job in chosen.items()}
    assert where == {"committee": ("gpu", "1"), "moving": ("gpu", "1"), "other": ("cpu", "0")}


def test_no_dft_job_asks_for_more_than_the_site_has(tmp_path, repository):
    potentials = {"folder": "upf", "files": {"Si": "Si.upf"}}
    files = {"a.xyz": "0" * 64}
    database = {
        "source": {"name": "old", "url": "https://example.org/old", "files": files},
        **{"level_of_theory": "other", "train_files": ["a.xyz"], "relabel": True},
    }
    campaign = {
        **TINY,
        "reference": {
            **{"method": "espresso", "functional": "PBE", "ecutwfc_ry": 30, "cores": 8},
            **{"memory_mb": 9000, "pseudopotentials": potentials},
        },
        "labels": {"side_by_side": 3, "batches_per_structure": 2},
        "datasets": {"databases": {"old": database}},
        "benchmarks": {"mechanics": False},
        "fits": {"gap": TINY["fits"]["gap"]},
    }
    project = Project(tmp_path, repository, tiny=campaign)
    header = '<PP_HEADER element="Si" z_valence="4.0" pseudo_type="NC" functional="PBE"/>'
    (tmp_path / "upf").mkdir()
    (tmp_path / "upf/Si.upf").write_text(f'<UPF version="2.0.1">\n{header}</UPF>')
    project.place_it(max_memory_mb=20000)
    targets = [f"results/tiny/labels/{one}" for one in ("gen0.json", "databases/old/train.extxyz")]
    jobs = project.planned_jobs("slurm", *targets)
    asked = {job["rule"]: int(job["mem_mb"]) for job in jobs if "mem_mb" in job}
    assert asked["relax_structure"] == 9500
    assert asked["label_batch"] == asked["label_database_batch"] == 20000
    assert sum(job["rule"] == "label_database_batch" for job in jobs) == 2


def test_gpus_of_a_kind_are_asked_for_as_the_cluster_wants_it(tmp_path, repository):
    project = Project(tmp_path, repository, tiny={**TINY, "fits": {"mace": {"kind": "mace"}}})
    project.place_it(gpu={"partition": "gpu", "gres": "gpu:a100:1"}, max_cores=4)
    jobs = [job for job in project.planned_jobs("slurm") if job["rule"] == "fit"]
    assert [(job["gres"], job["gpu"]) for job in jobs] == [("gpu:a100:1", "0")]


def test_every_job_of_a_cluster_has_its_place_memory_and_time(repository):
    """What is not sent to the cluster is local, on purpose."""
    rules = "".join(path.read_text() for path in (repository / "rules").glob("*.smk"))
    blocks = re.findall(r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", rules, re.MULTILINE)
    assert len(blocks) > 20
    for name, block in blocks:
        if "localrule: True" not in block:
            words = ["**runs_on(", "threads:", "log:"]
            words += [] if "**labelling(" in block else ["mem_mb=", "runtime="]
            for word in words:
                assert word in block, (name, word)
        # what a DFT code is short of, the next try has more of, also on a single machine
        assert "**labelling(" not in block or "retries: RETRIES" in block, name
