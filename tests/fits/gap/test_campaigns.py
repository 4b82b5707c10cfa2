"""phonsmith's fitter and gap_fit agree on the GAP recipes of all shipped campaigns."""

import json

import pytest
from ase import Atoms
from ase.io import read

from phonsmith.campaign.reading import load_campaign
from phonsmith.datasets.sets import constraint_frames, isolated_energies
from phonsmith.files.extxyz import ENERGY
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.training import learnable
from phonsmith.labels.checks import unlabelled
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.making import make_supercells
from tests.conftest import REPOSITORY
from tests.fits.examples import SW, gap_of, labelled, train

SLOW = {
    *("ga2o3-small", "natl-small", "si-extend", "si-george2020", "si-kappa", "si-kappa-pbesol"),
    *("sn-small", "si-modes-sevennet"),
    *("si-transferability", "si-transferability-small", "si", "sb2se3"),
    *("ga2o3-recorded", "natl-recorded", "sb2se3-small", "si-advanced-small", "si-sparse-small"),
}
"""Campaigns with more sparse points, longer descriptors or larger cells."""
SMALL = {
    "kinds": ["displaced", "rattled"],
    "multiples": {},
    "min_length_angstrom": 3.0,
    "min_atoms": 6,
    "max_atoms": 24,
}
COMPOUNDS = {"ga2o3-recorded", "ga2o3-small", "natl-small", "sb2se3-small"}
"""Campaigns with two elements in the cells that are learnt from here."""
DIAMOND = "config/structures/silicon/mp-149.vasp"
"""Takes the place of crystals that a campaign downloads."""
CHGNET = PotentialSource(calculator="chgnet")
CELLS = 2
"""Recorded cells of a crystal or of a group of a database."""


def recipes():
    """Each recipe once: repeats differ in the seed, some campaigns in crystals and labels.

    A recipe of several campaigns is that of a fast one.
    """
    found = {}
    paths = (REPOSITORY / "config/campaigns").glob("*.yaml")
    for path in sorted(paths, key=lambda path: (path.stem in SLOW, path.stem)):
        campaign = load_campaign(path)
        for name, fit in campaign.fits.items():
            if isinstance(fit, GapFit):
                one = {"seed": 0, "repeats": 1, "training_cells": None}
                recipe = fit.model_copy(update=one)
                found.setdefault(json.dumps(recipe.identity()), (path.stem, name))
    return [
        pytest.param(*one, marks=[pytest.mark.slow] if one[0] in SLOW else [], id="-".join(one))
        for one in found.values()
    ]


@pytest.mark.parametrize(("campaign", "name"), recipes())
def test_forces_are_those_of_gap_fit(campaign, name, tmp_path, request):
    settings = load_campaign(REPOSITORY / f"config/campaigns/{campaign}.yaml")
    fit = settings.fits[name].model_copy(update={"training_cells": None})
    frames = small_training_set(settings, request)
    elements = {symbol for atoms in frames for symbol in set(atoms.symbols)}
    assert len(elements) == (2 if campaign in COMPOUNDS else 1)
    energies = isolated_energies(frames).has_energies
    folders = {}
    for fitter in ("phonsmith", "gap_fit"):
        (tmp_path / fitter).mkdir()
        recipe = fit.model_copy(update={"fitter": fitter})
        folders[fitter], _ = train(recipe, frames, tmp_path / fitter, energies)
    tested = [atoms for atoms in learnable(frames, fit, energies) if len(atoms) > 1]
    ours, theirs = (evaluate(tested, gap_of(folder)) for folder in folders.values())
    for mine, its, atoms in zip(ours, theirs, tested, strict=True):
        assert mine.forces == pytest.approx(its.forces, abs=1e-6, rel=1e-6), atoms.info
        if energies:
            assert mine.energy == pytest.approx(its.energy, abs=energy_margin(fit) * len(atoms))


def energy_margin(fit: GapFit) -> float:
    """eV/atom by which energies may differ.

    With σ of 1e-6 eV/Å beside 1e-3 eV, noise of 1e-15 in the rows moves the energies of the exact
    solution (in long double) by 1e-5 eV/atom; phonsmith's is within 1e-7 of the exact one.
    """
    proportional = fit.force_proportional
    if proportional is None:
        return 1e-6
    smallest = proportional.factor * proportional.minimum_force_ev_per_angstrom
    return 1e-4 if smallest < 5e-6 else 1e-6


def small_training_set(campaign, request):
    """Few and small cells of the campaign's crystals and databases, with its labels."""
    if campaign.reference.method == "recorded":
        return recorded_cells(campaign, request.getfixturevalue("shared_data"))
    frames = computed_cells(campaign)
    if campaign.datasets.databases:
        frames += database_cells(campaign, request.getfixturevalue("shared_data"))
    if campaign.reference.isolated_atoms:
        lone = Atoms("Si", cell=[20] * 3, pbc=True)
        lone.info.update(structure="Si", kind="isolated_atom", generation=0, index=0)
        lone.info[ENERGY] = 0.0
        frames.append(lone)
    return frames


def recorded_cells(campaign, data):
    frames, crystals = [], {}
    for name in campaign.learnt[:2]:
        file = data / campaign.reference.source.name / campaign.structures[name].recorded
        found = read_recorded(file, campaign.reference.format, name)
        frames += found.frames[:CELLS]
        crystals[name] = to_ase(found.phonon.unitcell)
    return frames + constraint_frames(crystals, campaign.datasets.constraints)


def potential_of(campaign):
    """The campaign's calculator.

    CHGNet takes the place of SevenNet, Stillinger–Weber that of DFT, of other calculators in
    environments of their own, and of fits of other campaigns.
    """
    potential = getattr(campaign.reference, "potential", SW)
    if potential.calculator == "sevennet":
        return CHGNET
    return SW if potential.computes_in or potential.model else potential


def computed_cells(campaign):
    """Cells labelled by the campaign's calculator."""
    potential = potential_of(campaign)
    frames = []
    settings = campaign.supercells.model_copy(update=SMALL)
    for name in campaign.learnt[:2]:
        crystal = read(REPOSITORY / (campaign.structures[name].file or DIAMOND))
        cells = make_supercells(name, crystal, settings, campaign.seed, 0).cells
        cells = [one for one in cells if one.info["kind"] == "displaced"][:1] + cells[-2:]
        results = evaluate(cells, potential)
        frames += [
            labelled(cell, result, name, cell.info["kind"], cell.info["index"])
            for cell, result in zip(cells, results, strict=True)
        ]
    return frames


def database_cells(campaign, data):
    """Cells of databases, of each of their groups, with new labels or their own.

    The silicon of mlearn takes the place of files of the user's own.
    """
    frames = []
    for name, database in campaign.datasets.databases.items():
        file, format = data / database.source.name / database.train_files[0], database.format
        if database.source.folder:
            file, format = data / "si-mlearn-vasp/training.json", "mlearn"
        found = read_recorded(file, format, name).frames
        for group in sorted({atoms.info["config_type"] for atoms in found}):
            cells = [atoms for atoms in found if atoms.info["config_type"] == group][:CELLS]
            if not database.relabel:
                frames += cells
                continue
            results = evaluate(unlabelled(cells), potential_of(campaign))
            frames += [
                labelled(cell, result, name, "recorded", len(frames) + number)
                for number, (cell, result) in enumerate(zip(cells, results, strict=True))
            ]
    return frames
