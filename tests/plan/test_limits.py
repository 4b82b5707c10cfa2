"""Warnings of a plan: memory, time, size of cells, volumes that no fit learns."""

import re
from dataclasses import replace

import pytest

from phonsmith.files.sources import Places
from phonsmith.plan.cells import Request, cells_to_come
from phonsmith.plan.inputs import Cells, Site
from phonsmith.plan.job_resources import need_of_labels
from phonsmith.plan.limits import volumes_not_learnt
from phonsmith.plan.planner import make_plan
from phonsmith.plan.text import to_markdown
from tests.campaigns import TINY
from tests.plan.examples import WARMING, campaign_of, cells_of, espresso


def test_a_cell_beyond_the_largest_size_is_a_warning(crystals, tmp_path):
    campaign = campaign_of(supercells={"min_length_angstrom": 8, "min_atoms": 8, "max_atoms": 20})
    planned = {}
    for name, crystal in crystals.items():
        request = Request(
            structure=name,
            settings=campaign.structures[name].model_dump(mode="json"),
            crystal=crystal,
            generation=0,
            supercells=campaign.supercells.model_dump(mode="json"),
            seed=1,
            reference={},
            places=Places(),
        )
        answer = cells_to_come()(request)
        assert not answer.cells
        planned[0, name] = Cells(answer.cells, [], problem=answer.problem)
    plan = make_plan("tiny", campaign, crystals, planned)
    said = [line for line in plan.warnings if "max_atoms" in line]
    assert len(said) == 2 and said[0].startswith("mp-149: ")


def test_jobs_of_many_hours_are_better_parted(crystals, pseudopotentials):
    """Into jobs of two hours each, or one for each cell; also those of a data set."""
    reference = espresso(pseudopotentials, ecutwfc_ry=600).model_dump(mode="json")
    database = {
        "source": {"name": "old", "files": {"a.xyz": "0" * 64}},
        **{"level_of_theory": "other", "train_files": ["a.xyz"], "relabel": True},
    }
    campaign = campaign_of(reference=reference, datasets={"databases": {"old": database}})
    cells = cells_of(campaign, crystals)
    old = cells[0, "mp-149"]
    plan = make_plan("tiny", campaign, crystals, cells, databases={"old": {"train": old}})
    said = "\n".join(plan.warnings)
    pattern = r"(label|database) (\S+): (\d+) jobs? of (\d+) hours.*per_structure: (\d+) "
    advice = re.findall(pattern, said)
    assert ("database", "old") in [one[:2] for one in advice]
    for stage, name, jobs, hours, batches in advice:
        most = len((old if stage == "database" else cells[0, name]).cells)
        assert int(batches) == pytest.approx(min(most, int(jobs) * int(hours) / 2), abs=int(jobs))


def test_runs_beyond_memory_and_time_are_warnings(crystals, pseudopotentials):
    settings = espresso(pseudopotentials).model_dump(mode="json") | {
        "memory_mb": 200,
        "time_limit_minutes": 0.01,
    }
    campaign = campaign_of(reference=settings, labels={"side_by_side": 4, "runtime_minutes": 1})
    cells = cells_of(campaign, crystals)
    plan = make_plan("tiny", campaign, crystals, cells, site=Site(memory_limit_mb=500))
    text = "\n".join(plan.warnings)
    for words in (
        "label mp-149 rattled: a run may need",
        "more than reference.memory_mb = 200",
        "reference.time_limit_minutes = 0.01",
        "labels.runtime_minutes = 1",
        "more than the 500 MB",
    ):
        assert words in text
    generous = settings | {"memory_mb": 60000, "time_limit_minutes": 6000}
    campaign = campaign_of(reference=generous, labels={"runtime_minutes": 60000})
    assert not make_plan("tiny", campaign, crystals, cells).warnings
    # atoms are computed once for each element, in a box of their own
    atoms = [task for task in plan.tasks if task.stage == "isolated atom"]
    assert [(one.structure, one.electrons, one.kpoints) for one in atoms] == [("Si", 4, 1)]


def test_the_plan_lists_what_jobs_ask_for(crystals, pseudopotentials):
    reference = espresso(pseudopotentials).model_dump(mode="json") | {"cores": 4}
    campaign = campaign_of(
        reference=reference, labels={"side_by_side": 2, "batches_per_structure": 3}
    )
    cells = cells_of(campaign, crystals)
    site = Site("normal", "gpus", max_minutes=100_000)
    plan = make_plan("tiny", campaign, crystals, cells, site=site)
    jobs = {one.what: one for one in plan.jobs}
    assert {"relaxation", "isolated atoms", "labels", "fit gap"} <= jobs.keys()
    labels = jobs["labels"]
    wanted = [
        need_of_labels(group.cells, campaign.reference, name, batches=3, side_by_side=2)
        for (_, name), group in cells.items()
    ]
    assert (labels.jobs, labels.partition, labels.cores) == (3 * len(cells), "normal", 8)
    assert labels.memory_mb == 500 + 2 * max(one.memory_mb for one in wanted)
    assert labels.minutes == max(one.minutes for one in wanted)
    assert jobs["relaxation"].cores == 4
    resources = campaign.fits["gap"].resources
    assert jobs["fit gap"].memory_mb == resources.memory_mb
    text = to_markdown(plan)
    section = text.split("requested cluster resources")[1]
    row = next(line for line in section.splitlines() if line.startswith("| labels "))
    for word in ("normal", " 8 ", f"{labels.memory_mb:,}"):
        assert word in row
    small = replace(site, max_memory_mb=600, max_minutes=1)
    capped = make_plan("tiny", campaign, crystals, cells, site=small).jobs
    assert {(one.memory_mb, one.minutes) for one in capped} == {(600, 1)}


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (Site(memory_limit_mb=225), ["more than the 225 MB of this machine's profile"]),
        (Site(max_memory_mb=225), ["more than the 225 MB of config/site.yaml (max_memory_mb)"]),
        (Site(max_minutes=0.2), ["more than the 0 of config/site.yaml (max_minutes)"]),
    ],
)
def test_the_plan_says_what_to_lower(crystals, site, words):
    """A fit beyond the machine: lower settings with which it is within.

    gap_fit's memory grows with the atoms; that of the default fitter does not.
    """
    soap = {"cutoff_angstrom": 5, "n_max": 10, "l_max": 6, "n_sparse": 300}
    campaign = campaign_of(fits={"gap": {"kind": "gap", "fitter": "gap_fit", "soap": soap}})
    cells = cells_of(campaign, crystals)
    (said,) = make_plan("tiny", campaign, crystals, cells, site=site).warnings
    for word in ["lower supercells.max_atoms to about ", "soap.n_max to ", *words]:
        assert word in said
    for key, value in re.findall(r"soap\.(\w+) to (\d+)", said):
        smaller = {"kind": "gap", "fitter": "gap_fit", "soap": soap | {key: int(value)}}
        campaign = campaign_of(fits={"gap": smaller})
        assert not make_plan("tiny", campaign, crystals, cells, site=site).warnings, said


def test_a_fit_beyond_its_memory_is_a_warning(crystals):
    fits = {"gap": {**TINY["fits"]["gap"], "resources": {"memory_mb": 200}}}
    campaign = campaign_of(fits=fits)
    (said,) = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals)).warnings
    assert said.startswith("fit gap: may need") and "resources.memory_mb = 200" in said


@pytest.mark.parametrize(
    ("factors", "changes", "expected"),
    [
        (None, {}, []),  # the defaults suit each other
        ([0.97, 1.03], {}, ["thermodynamics", "0.96 to 1.06", "0.97 to 1.03"]),
        ([0.9, 1.1], {"thermodynamics": {"first_volumes_percent": [-12, 6]}}, ["0.88 to 1.06"]),
        ([0.94, 1.06], {}, ["transitions", "up to 10 GPa", "0.94 to 1.06"]),
        ([0.97, 1.03], {"fits": {}}, []),
    ],
)
def test_the_plan_warns_of_volumes_that_no_fit_learns(factors, changes, expected):
    rattled = {"count": 5} if factors is None else {"count": 5, "volume_factors": factors}
    supercells = {**TINY["supercells"], "kinds": ["displaced", "rattled"], "rattled": rattled}
    campaign = campaign_of(**{**WARMING, "supercells": supercells, **changes})
    found = volumes_not_learnt(campaign)
    assert bool(found) == bool(expected)
    assert any(all(word in line for word in expected) for line in found) or not expected
    assert all("widen supercells.rattled.volume_factors" in line for line in found)
