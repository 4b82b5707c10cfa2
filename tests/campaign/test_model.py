"""The campaign model: what it accepts, what it refuses, and in which words."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from ase.units import Ry
from pydantic import ValidationError

from phonsmith.campaign import schema
from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError

GOOD = {
    "structures": {"mp-149": {"file": "si.vasp"}, "t": {"file": "t.vasp", "role": "test"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "datasets": {"constraints": {"structures": ["mp-149"]}},
    "fits": {"gap": {"kind": "gap"}, "mace": {"kind": "mace"}},
}
SHA = "0" * 64
RECORDED = {
    "structures": {"mp-149": {"recorded": "a.yaml"}},
    "reference": {
        "method": "recorded",
        "level_of_theory": "VASP PBE",
        "source": {"name": "set", "files": {"a.yaml": SHA}},
    },
    "fits": {"gap": {"kind": "gap"}},
}
VASP = {
    **RECORDED,
    "structures": {"mp-149": {"file": "POSCAR", "recorded": ["a/vasprun.xml", "b"]}},
    "reference": {
        **RECORDED["reference"],
        "format": "vasprun",
        "source": {"name": "set", "files": {"a/vasprun.xml": SHA, "b/c/vasprun.xml": SHA}},
    },
}


MELT = {
    "source": {"name": "melt", "folder": "sets"},
    "level_of_theory": "stillinger-weber",
    "test_files": ["melt.xyz"],
}
"""A set to test on alone."""


def write(folder: Path, settings: object) -> Path:
    path = folder / "campaign.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return path


def changed(base: dict, dotted: str, value: object) -> dict:
    settings = copy.deepcopy(base)
    *parents, last = dotted.split("/")
    inner = settings
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return settings


@pytest.mark.parametrize("settings", [GOOD, RECORDED, VASP])
def test_a_good_campaign_is_read(tmp_path, settings):
    campaign = load_campaign(write(tmp_path, settings))
    assert campaign.benchmarked == ["mp-149"]
    assert campaign.fits["gap"].kind == "gap"


@pytest.mark.parametrize(
    ("base", "key", "value", "words"),
    [
        (GOOD, "sed", 1, ["sed", "unknown key"]),
        (GOOD, "seed", -1, ["seed", "-1"]),
        (
            {**GOOD, "datasets": {"databases": {"melt": MELT}}},
            "fits/gap/learn_from",
            ["recorded"],
            ["fits.gap.learn_from", "no such cells"],
        ),
        (VASP, "structures/mp-149/file", None, ["mp-149.file", "`test_files` of `datasets"]),
        (
            {**GOOD, "structures": {}, "datasets": {"databases": {"melt": MELT}}},
            "seed",
            1,
            ["structures", "only errors of existing fits"],
        ),
        (GOOD, "seed", "abc", ["seed", "abc", "integer"]),
        (GOOD, "structures", {}, ["structures", "at least one"]),
        (GOOD, "structures/..x", {"file": "a"}, ["structures", "..x", "letters"]),
        (GOOD, "structures/a b", {"file": "a"}, ["structures", "a b"]),
        (GOOD, "structures/$(touch x)", {"file": "a"}, ["structures"]),
        (GOOD, "structures/mp-149", {}, ["structures.mp-149", "`file`, `materials_project`"]),
        (GOOD, "structures/mp-149/recorded", "a.yaml", ["mp-149.recorded", "method: recorded"]),
        (GOOD, "structures/mp-149", {"recorded": "a.yaml"}, ["mp-149.recorded", "method"]),
        (RECORDED, "structures/mp-149/role", "test", ["role: train"]),
        (GOOD, "reference/method", "vasp6", ["reference", "vasp6"]),
        (GOOD, "reference/potential", {}, ["reference.potential.calculator", "missing"]),
        (GOOD, "reference/potential/calculator", "lj", ["reference.potential", "lj"]),
        (GOOD, "reference/potential/calculator", "gap", ["reference.potential", "model"]),
        (GOOD, "reference/potential/sha256", "12", ["reference.potential.sha256"]),
        (GOOD, "supercells/min_atoms", 600, ["supercells", "min_atoms"]),
        (GOOD, "supercells/min_length_angstrom", 0, ["supercells.min_length_angstrom", "0"]),
        (GOOD, "supercells/kinds", ["shaken"], ["supercells.kinds", "shaken", "rattled"]),
        (GOOD, "supercells/kinds", ["rattled", "rattled"], ["supercells", "twice"]),
        (GOOD, "supercells/rattled/count", 1.5, ["supercells.rattled.count", "1.5"]),
        (GOOD, "supercells/rattled/std_angstrom", float("nan"), ["std_angstrom", "nan"]),
        (GOOD, "supercells/rattled/std_nm", 0.01, ["supercells.rattled.std_nm", "unknown key"]),
        (GOOD, "supercells/rattled/volume_factors", [], ["volume_factors", "at least 1"]),
        (GOOD, "supercells/displaced/distance_angstrom", "0.01 nm", ["distance_angstrom"]),
        (GOOD, "datasets/test_fraction", 1.0, ["datasets.test_fraction", "less than 1"]),
        (GOOD, "datasets/constraints", {"structures": ["mp-1"]}, ["constraints", "mp-1"]),
        (GOOD, "datasets/constraints", {"structures": ["t"]}, ["constraints", "role: test"]),
        (RECORDED, "structures/mp-149/role", "benchmark", ["role: train"]),
        (GOOD, "relaxation", {"reference": False}, ["datasets.constraints", "relaxed"]),
        (GOOD, "structures/all", {"file": "a"}, ["structures.all", "reserved"]),
        (GOOD, "fits/gap/learn_from", ["recorded"], ["fits.gap.learn_from", "displaced"]),
        (GOOD, "fits/gap/learn_from", ["constraint"], ["fits.gap.learn_from"]),
        (GOOD, "fits/mace/stage_two_start_epoch", 100, ["fits.mace", "stage_two", "max_epochs"]),
        (GOOD, "phonons/cells", ["relaxed", "relaxed"], ["phonons", "twice"]),
        (GOOD, "fits", {}, ["fits", "at least one"]),
        (GOOD, "fits/reference", {"kind": "gap"}, ["fits.reference", "reserved"]),
        (GOOD, "fits/gap/kind", "nequip", ["fits.gap", "nequip"]),
        (GOOD, "fits/gap/sigma/force", 1, ["fits.gap.sigma.force", "unknown key"]),
        (GOOD, "fits/gap/soap/l_max", -1, ["fits.gap.soap.l_max", "-1"]),
        (GOOD, "fits/gap/force_proportional", {"factor": 0}, ["force_proportional.factor", "0"]),
        (GOOD, "fits/mace/max_epochs", 0, ["fits.mace.max_epochs", "0"]),
        (GOOD, "fits/mace/device", "tpu", ["fits.mace.device", "tpu", "cuda"]),
        (GOOD, "fits/old", {"kind": "existing"}, ["fits.old.potential", "missing"]),
        (GOOD, "phonons/points_per_segment", 1, ["phonons.points_per_segment", "1"]),
        (GOOD, "phonons/band_path", "mine", ["phonons.band_path", "mine", "seekpath"]),
        (GOOD, "figures/formats", ["gif"], ["figures.formats", "gif", "svg"]),
        (
            GOOD,
            "sweeps",
            {"s": {"recipe": {"kind": "gap"}, "settings": {"soap.n_sparse": [0]}}},
            ["sweeps.s", "n_sparse = 0", "greater than 0"],
        ),
        (
            GOOD,
            "sweeps",
            {"s": {"recipe": {"kind": "gap"}, "settings": {"soap.nsparse": [5]}}},
            ["sweeps.s", "soap.nsparse", "unknown key", "did you mean 'n_sparse'"],
        ),
        (
            GOOD,
            "sweeps",
            {"s": {"recipe": {"kind": "gap"}, "settings": {"seed": [1, 1]}}},
            ["sweeps.s", "seed", "twice"],
        ),
        (
            GOOD,
            "sweeps",
            {"gap": {"recipe": {"kind": "gap"}, "settings": {}}},
            ["sweeps.gap.settings", "at least 1"],
        ),
        (
            GOOD,
            "sweeps",
            {"s": {"recipe": {"kind": "gap"}, "settings": {"repeats": [1, 2]}}},
            ["sweeps.s", "settings.repeats", "recipe", "seed"],
        ),
        (
            GOOD,
            "sweeps",
            {"s": {"recipe": {"kind": "mace"}, "settings": {"weights": [{"energy": 1}]}}},
            ["sweeps.s.settings.weights", "mapping of names"],
        ),
        (
            GOOD,
            "sweeps",
            {
                "s": {
                    "recipe": {"kind": "mace"},
                    "settings": {"long": {"a": {"max_epochs": 5}}, "max_epochs": [3]},
                }
            },
            ["sweeps.s", "settings.max_epochs", "varied twice"],
        ),
        (
            GOOD,
            "sweeps",
            {
                "s": {
                    "recipe": {"kind": "gap", "fitter": "gap_fit"},
                    "settings": {
                        "extra_arguments.x": ["a-b", "a"],
                        "extra_arguments.y": ["c", "b-c"],
                    },
                }
            },
            ["sweeps.s", "two fits", "s-a-b-c"],
        ),
        (
            GOOD,
            "sweeps",
            {
                "s": {
                    "recipe": {"kind": "gap", "fitter": "gap_fit"},
                    "settings": {"extra_arguments.x": ["a" * 90]},
                }
            },
            ["sweeps.s", "80 characters"],
        ),
        (
            GOOD,
            "sweeps",
            {
                "s": {
                    "recipe": {"kind": "gap", "fitter": "gap_fit", "repeats": 2},
                    "settings": {"extra_arguments.x": ["1", "1-r2"]},
                }
            },
            ["sweeps.s", "s-1-r2"],
        ),
        (RECORDED, "structures/mp-149/recorded", "b.yaml", ["b.yaml", "source.files"]),
        (RECORDED, "structures/mp-149/recorded", "../b.yaml", ["recorded", ".."]),
        (RECORDED, "structures/mp-149/recorded", ["a.yaml"], ["recorded", "a single phonopy file"]),
        (RECORDED, "structures/mp-149/file", "POSCAR", ["mp-149.file", "phonopy", "remove"]),
        (RECORDED, "structures/mp-149", {"file": "POSCAR"}, ["mp-149", "give `recorded`"]),
        (VASP, "structures/mp-149", {"recorded": "b"}, ["mp-149.file", "vasprun", "POSCAR"]),
        (VASP, "structures/mp-149/recorded", ["b", "c"], ["recorded", "'c'", "source.files"]),
        (VASP, "structures/mp-149/recorded", ["b", "/c"], ["recorded", ".."]),
        (VASP, "structures/mp-149/recorded", [], ["mp-149.recorded", "non-empty list"]),
        (VASP, "structures/mp-149/recorded", [""], ["mp-149.recorded", "non-empty list"]),
        (RECORDED, "reference/source/files", {"a.yaml": "0" * 63}, ["a.yaml"]),
        (RECORDED, "reference/source/url", "ftp://x", ["reference.source.url"]),
        (RECORDED, "benchmarks/mechanics", True, ["benchmarks.mechanics"]),
        (RECORDED | {"fits": {}}, "conductivity", {}, ["conductivity", "add fits"]),
        (RECORDED | {"fits": {}}, "thermodynamics", {}, ["thermodynamics", "add fits"]),
        (
            RECORDED,
            "datasets/databases",
            {
                "old": {
                    "source": {"name": "old", "files": {"t.json": SHA}},
                    "level_of_theory": "VASP PBEsol",
                    "train_files": ["t.json"],
                }
            },
            ["databases.old", "VASP PBEsol", "VASP PBE", "allow_mixed_levels_of_theory"],
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_file_and_key(tmp_path, base, key, value, words):
    path = write(tmp_path, changed(base, key, value))
    with pytest.raises(PhonsmithError) as error:
        load_campaign(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["mapping"]),
        ("- a\n", ["mapping"]),
        ("fits:\n  a: {kind: gap}\n  a: {kind: mace}\n", ["line 3", "'a'", "duplicate"]),
        ("seed: [1\n", ["line"]),
        ("seed: !!python/object:os.system x\n", ["line 1"]),
    ],
)
def test_broken_yaml_is_named_with_its_line(tmp_path, text, words):
    with pytest.raises(PhonsmithError) as error:
        load_campaign(write(tmp_path, text))
    for word in words:
        assert word in str(error.value)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(PhonsmithError, match="no such campaign file"):
        load_campaign(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"description: \xe9\xff")
    with pytest.raises(PhonsmithError, match="UTF-8"):
        load_campaign(tmp_path / "latin.yaml")


def test_shipped_campaigns_are_valid(repository):
    files = sorted((repository / "config/campaigns").glob("*.yaml"))
    assert {"si-demo", "si-george2020", "si-modes", "si-extend"} <= {file.stem for file in files}
    for file in files:
        campaign = load_campaign(file)
        assert campaign.description
        assert written_out(campaign) == campaign


def written_out(campaign: Campaign) -> Campaign:
    """As jobs get it: with all defaults, which must not count as the user's wishes."""
    return Campaign.model_validate(campaign.model_dump(mode="json", by_alias=True))


def test_a_default_that_cannot_be_judged_is_no_wish(repository):
    settings = load_campaign(repository / "config/campaigns/si-loop.yaml").model_dump(
        mode="json", by_alias=True
    )
    settings["phonons"]["cells"] = ["reference"]
    settings["loop"]["goal"] = {"rmse_thz": 0.1, "cell": "reference", "harmonic_only": True}
    campaign = Campaign.model_validate(settings)
    assert written_out(campaign) == campaign


def test_tin_is_the_same_with_both_codes(repository):
    """All but the code, and of that what both share."""
    folder = repository / "config/campaigns"
    vasp, espresso = (load_campaign(folder / f"{name}.yaml") for name in ("sn", "sn-qe"))
    without = {"reference", "description", "name"}
    assert vasp.model_dump(exclude=without) == espresso.model_dump(exclude=without)
    for key in ("functional", "kspacing_per_angstrom"):
        assert getattr(vasp.reference, key) == getattr(espresso.reference, key)
    assert (vasp.reference.ismear, espresso.reference.smearing) == (0, "gaussian")
    assert espresso.reference.degauss_ry * Ry == pytest.approx(vasp.reference.sigma_ev, rel=0.01)


def test_schema_and_settings_page_are_those_of_the_models(repository):
    assert (repository / schema.SCHEMA).read_text() == schema.schema(), "run `make schema`"
    assert (repository / schema.PAGE).read_text() == schema.page(), "run `make schema`"
    headings = set(re.findall(r"^## (.*)$", schema.page(), flags=re.MULTILINE))
    linked = set(re.findall(r"\]\(#(.*?)\)", schema.page()))
    assert linked <= {heading.lower() for heading in headings}


def test_the_settings_page_has_the_keys_of_the_file(repository):
    keys = json.loads(schema.schema())["properties"]
    rows = schema.page().split("## ")[1].splitlines()
    assert [row.split("`")[1] for row in rows if row.startswith("| `")] == list(keys)


def test_conda_environment_has_the_pins_of_the_lock_file(repository):
    lock = (repository / schema.LOCK).read_text()
    assert (repository / schema.ENVIRONMENT).read_text() == schema.environment(lock)
    pinned = {line.split("==")[0].lower() for line in lock.split()}
    assert {"snakemake", "phonopy", "mace-torch", "quippy-ase", "chgnet"} <= pinned


def test_every_setting_is_explained():
    table = [line for line in schema.page().splitlines() if line.startswith("| `")]
    unexplained = [line for line in table if line.rstrip(" |").endswith(("|", "none", "required"))]
    assert len(table) > 100
    assert json.loads(schema.schema())["title"] == "Campaign"
    assert unexplained == []


def test_a_sweep_is_a_fit_for_every_combination():
    sweep = {
        "recipe": {"kind": "gap", "label": "GAP", "soap": {"l_max": 4}},
        "settings": {"force_proportional.factor": [0.1, 1e-4], "soap.n_sparse": [50, 100]},
    }
    campaign = Campaign.model_validate({**GOOD, "sweeps": {"f": sweep}})
    names = ["f-0.1-50", "f-0.1-100", "f-0.0001-50", "f-0.0001-100"]
    assert list(campaign.fits) == [*GOOD["fits"], *names]
    fit = campaign.fits["f-0.0001-100"]
    assert (fit.force_proportional.factor, fit.soap.n_sparse, fit.soap.l_max) == (1e-4, 100, 4)
    assert fit.label == "GAP, factor = 0.0001, n_sparse = 100"
    assert written_out(campaign).fits == campaign.fits


@pytest.mark.parametrize(
    ("key", "values", "names"),
    [
        ("weights.energy", [1e6, 1000.0, 1e16, 1000001.0], ["1000000", "1000", "1e16", "1000001"]),
        ("learning_rate", [1e-5, 3e-4], ["1e-05", "0.0003"]),
        ("foundation.model", ["medium", "results/a/fits/m/model/tiny.model"], ["medium", "tiny"]),
        ("extra_arguments.x", ["a b", "c/d", "1.5/0.5"], ["a_b", "c_d", "1.5_0.5"]),
    ],
)
def test_names_of_swept_fits_are_those_of_files(key, values, names):
    sweep = {"recipe": {"kind": "mace"}, "settings": {key: values}}
    campaign = Campaign.model_validate({**GOOD, "fits": {}, "sweeps": {"s": sweep}})
    assert list(campaign.fits) == [f"s-{name}" for name in names]
    assert [one[key] for one in campaign.swept("s").values()] == values


def test_keys_that_change_together():
    long = {"max_epochs": 5000, "weights.forces": 1500.0}
    sweep = {
        "recipe": {"kind": "mace", "repeats": 2},
        "settings": {"schedule": {"long": long, "short": {"max_epochs": 10}}, "batch_size": [1]},
    }
    campaign = Campaign.model_validate({**GOOD, "fits": {}, "sweeps": {"s": sweep}})
    assert list(campaign.fits) == ["s-long-1", "s-long-1-r2", "s-short-1", "s-short-1-r2"]
    fit = campaign.fits["s-long-1-r2"]
    assert (fit.max_epochs, fit.weights.forces, fit.batch_size, fit.seed) == (5000, 1500, 1, 1)
    assert campaign.fits["s-short-1"].max_epochs == 10
    assert fit.label == "s, schedule = long, batch_size = 1, repeat 2"
    # repeats are among the fits of the sweep, with its values
    swept = campaign.swept("s")
    assert list(swept) == list(campaign.fits)
    assert swept["s-long-1"] == swept["s-long-1-r2"] == {"schedule": "long", "batch_size": 1}
    assert campaign.sweeps["s"].settings_of(swept["s-long-1"]) == {**long, "batch_size": 1}
    assert written_out(campaign).fits == campaign.fits


def test_a_sweep_must_not_hide_a_fit():
    sweep = {"recipe": {"kind": "gap"}, "settings": {"seed": [1]}}
    with pytest.raises(ValidationError, match="fit s-1 already exists"):
        Campaign.model_validate({**GOOD, "fits": {"s-1": {"kind": "gap"}}, "sweeps": {"s": sweep}})


def test_repeats_are_fits_with_seeds_of_their_own():
    fits = {"gap": {"kind": "gap", "seed": 3, "repeats": 3}, "old": GOOD["fits"]["mace"]}
    campaign = Campaign.model_validate({**GOOD, "fits": fits})
    assert campaign.groups == {"gap": ["gap", "gap-r2", "gap-r3"], "old": ["old"]}
    assert [campaign.fits[name].seed for name in campaign.groups["gap"]] == [3, 4, 5]
    once = Campaign.model_validate({**GOOD, "fits": {**fits, "gap": {**fits["gap"], "repeats": 1}}})
    assert once.fits["gap"] == campaign.fits["gap"]  # nothing to fit again
    with pytest.raises(ValidationError, match="fit gap-r2 already exists"):
        Campaign.model_validate({**GOOD, "fits": {"gap-r2": {"kind": "gap"}, **fits}})


def test_sweeps_over_distilled_cells_are_series_of_sizes():
    recipe = {"kind": "mtp", "repeats": 2, "label": "MTP"}
    sizes = {"distilled_cells": [5, 20]}
    sweeps = {
        "one": {"recipe": recipe, "settings": sizes},
        "two": {"recipe": recipe, "settings": {"level": [8, 12], **sizes}},
        "other": {"recipe": {"kind": "mtp"}, "settings": {"level": [8, 12]}},
    }
    campaign = Campaign.model_validate({**GOOD, "sweeps": sweeps})
    series = campaign.sizes
    assert len(series) == 4 + 8
    assert series["one-5"] == series["one-20-r2"] == "MTP"
    assert series["two-8-5"] == "MTP, level = 8" and series["two-12-20-r2"] == "MTP, level = 12"
    assert campaign.fits["two-12-20-r2"].distilled_cells == 20
    seeds = [campaign.fits[name].seed for name in ("one-5", "one-5-r2")]
    assert seeds == [0, 1]  # each repeat draws cells of its own


def test_the_report_describes_recipes_and_not_their_repeats_and_sweeps(repository: Path) -> None:
    campaign = load_campaign(repository / "config/campaigns/si-indirect-medium.yaml")
    recipes = ["mtp-12", "mtp-16", "mtp-20", "gap-small", "mace-small"]
    assert campaign.described == recipes
    assert set(campaign.trained_potentials) > {*recipes, "size-10-r2"}


@pytest.mark.parametrize(
    ("reference", "fmax"),
    [
        (GOOD["reference"], 1e-4),
        ({"method": "vasp", "potcars": {"Si": "Si"}}, 1e-3),
        (
            {
                "method": "espresso",
                "pseudopotentials": {"folder": "p", "files": {"Si": "Si.UPF"}},
                "ecutwfc_ry": 40,
            },
            1e-3,
        ),
    ],
)
def test_crystals_relax_to_forces_that_the_method_resolves(reference, fmax: float) -> None:
    settings = {**GOOD, "reference": reference}
    campaign = Campaign.model_validate(settings)
    assert campaign.relaxation.fmax_ev_per_angstrom == fmax
    assert Campaign.model_validate(campaign.model_dump(by_alias=True)).relaxation == (
        campaign.relaxation
    )
    other = Campaign.model_validate({**settings, "relaxation": {"on_change": "stop"}})
    assert other.relaxation.fmax_ev_per_angstrom == fmax
    given = Campaign.model_validate({**settings, "relaxation": {"fmax_ev_per_angstrom": 2e-4}})
    assert given.relaxation.fmax_ev_per_angstrom == 2e-4
