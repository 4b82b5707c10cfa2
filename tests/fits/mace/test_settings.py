"""Settings of fine-tuning: names, files, what does not go together."""

import json
import socket
from argparse import Namespace

import pytest
import yaml
from ase.build import bulk

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.fits import training as fits
from phonsmith.fits.mace import foundation
from phonsmith.fits.mace.settings import FOUNDATIONS, REPLAY_SETS, Foundation, MaceFit, Replay
from tests.project import Project


def test_a_missing_file_and_a_missing_network_tell_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def no_network(*args, **kwargs):
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(PhonsmithError) as named:
        foundation.find(Foundation(model="medium-0b3"))
    url = (
        "https://github.com/ACEsuit/mace-mp/releases/download/mace_mp_0b3/mace-mp-0b3-medium.model"
    )
    for part in ("medium-0b3", url, str(tmp_path / "mace" / "macemp0b3mediummodel")):
        assert part in str(named.value)
    assert "\n" not in str(named.value)
    # the place that it names is the right one
    there = tmp_path / "mace" / "macemp0b3mediummodel"
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(b"a model")
    assert foundation.find(Foundation(model="medium-0b3")) == there

    digest = sha256_of(there)
    address = Foundation(model="https://nowhere.invalid/a/b.model", sha256=digest)
    with pytest.raises(PhonsmithError, match=r"nowhere\.invalid/a/b\.model") as addressed:
        foundation.find(address)
    place = tmp_path / "mace" / f"foundation-{digest[:12]}" / "b.model"
    assert str(place) in str(addressed.value)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"a model")
    assert foundation.find(address) == place

    with pytest.raises(PhonsmithError, match=r"a\.model: no such model file"):
        foundation.find(Foundation(model="a.model"))


def test_names_are_those_of_mace():
    from mace.calculators.foundations_models import mace_mp_names

    assert {name for name in mace_mp_names if name} == FOUNDATIONS
    from mace.tools.multihead_tools import assemble_replay_data

    text = assemble_replay_data.__code__.co_consts
    assert set(REPLAY_SETS) <= {one for one in text if isinstance(one, str)}


@pytest.mark.parametrize("name", sorted(REPLAY_SETS))
def test_replay_sets_by_name_are_refused_as_mace_would_take_another(name):
    from mace.data import KeySpecification
    from mace.tools.multihead_tools import prepare_pt_head

    with pytest.raises(ValueError, match=f"{name}: names of mace.*Materials Project.*give a file"):
        Replay(file=name)
    asked = Namespace(foundation_model="foundation.pt", pt_train_file=name)
    taken = prepare_pt_head(asked, KeySpecification(), 10.0)["train_file"]
    assert taken == "mp"  # where this fails, mace is mended: allow the names


def campaign_file(folder, fit):
    settings = {
        "structures": {"si": {"file": "si.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {"tuned": {"kind": "mace", **fit}},
    }
    bulk("Si").write(folder / "si.vasp")
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_name_alone_and_the_defaults_of_fine_tuning(tmp_path):
    (fit,) = load_campaign(campaign_file(tmp_path, {"foundation": "medium-0b3"})).fits.values()
    assert fit.foundation == Foundation(model="medium-0b3")
    assert (fit.learning_rate, fit.batch_size, fit.max_epochs) == (1e-4, 1, 200)
    assert fits.recipe(json.loads(fit.model_dump_json())) == fit  # as the jobs read it
    plain = MaceFit(kind="mace")
    assert plain.learning_rate == 0.01
    assert "foundation" not in plain.model_dump()


@pytest.mark.parametrize(
    ("fit", "parts"),
    [
        ({"foundation": "medium-0b33"}, ["fits.tuned.foundation", "medium-0b33", "medium-0b3"]),
        ({"foundation": "https://a.org/b.model"}, ["fits.tuned.foundation", "sha256"]),
        (
            {"foundation": "medium-0b3", "num_channels": 16},
            ["num_channels", "fixed by the foundation model"],
        ),
        ({"foundation": {"model": "small", "method": "multihead"}}, ["replay", "multihead"]),
        (
            {"foundation": {"model": "small", "lora": {}, "frozen_layers": 2}},
            ["lora", "frozen_layers"],
        ),
        ({"foundation": {"model": "small", "frozen_layers": 8}}, ["frozen_layers", "8"]),
        (
            {"foundation": {"model": "small", "method": "multihead", "replay": {"file": "omat"}}},
            ["fits.tuned.foundation.replay", "omat", "give a file"],
        ),
        (
            {"foundation": "small", "extra_arguments": {"foundation_model": "x"}},
            ["extra_arguments.foundation_model", "foundation.model"],
        ),
    ],
)
def test_settings_that_do_not_go_together(fit, parts, tmp_path):
    with pytest.raises(PhonsmithError) as refused:
        load_campaign(campaign_file(tmp_path, fit))
    for part in parts:
        assert part in str(refused.value)


def test_files_are_checked_before_any_job_unless_the_pipeline_makes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = campaign_file(tmp_path, {"foundation": "a/b.model"})
    with pytest.raises(
        PhonsmithError, match=r"fits\.tuned\.foundation\.model: a/b\.model: no such"
    ):
        check_inputs(load_campaign(path), path, [])
    check_inputs(load_campaign(path), path, [], made=lambda file: file == "a/b.model")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.model").write_bytes(b"\x80x")
    with pytest.raises(PhonsmithError, match=r"b\.model: not loaded.*sha256.*trust"):
        check_inputs(load_campaign(path), path, [])
    path = campaign_file(tmp_path, {"foundation": {"model": "a/b.model", "trust": True}})
    check_inputs(load_campaign(path), path, [])
    path = campaign_file(tmp_path, {"foundation": {"model": "a/b.model", "sha256": "0" * 64}})
    with pytest.raises(PhonsmithError, match=r"fits\.tuned\.foundation\.sha256: a/b\.model"):
        check_inputs(load_campaign(path), path, [])


def test_the_fit_of_another_campaign_is_made_first(tmp_path, repository):
    common = {
        "structures": {"si": {"file": "config/structures/silicon/mp-149.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    }
    made = "results/first/fits/mace/gen0/model/mace.model"
    potential = {"calculator": "mace", "model": made}
    project = Project(
        tmp_path,
        repository,
        first={**common, "fits": {"mace": {"kind": "mace"}}},
        second={
            **common,
            "fits": {
                "tuned": {"kind": "mace", "foundation": made},
                "as-it-is": {"kind": "existing", "potential": potential},
            },
        },
    )
    tuned, untuned = (f"results/second/fits/{fit}/gen0/fit.json" for fit in ("tuned", "as-it-is"))
    jobs = project.planned(tuned)
    assert (jobs["fit"], jobs["find_foundation"], jobs["make_dataset"]) == (2, 1, 2)
    assert project.planned(untuned)["fit"] == 2
    missing = {"mace": {"kind": "mace", "foundation": "results/first/model"}}
    project.write("second", {**common, "fits": missing})
    project.refuses(["fits.mace.foundation.model", "no such model file"], "--dry-run", tuned)
