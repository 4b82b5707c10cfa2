"""phonsmith's fitter of GAPs gives the potentials of gap_fit."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import read

from phonsmith.datasets.sets import Baseline, constraint_frames, isolated_energies
from phonsmith.datasets.settings import ConstraintCells
from phonsmith.files.cache import Cache
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import training as fits
from phonsmith.fits.gap import choice, descriptors
from phonsmith.fits.gap.descriptors import _by_quippy, _pairs, _plain_pair
from phonsmith.fits.gap.design import Design
from phonsmith.fits.gap.model import read_terms
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.least_squares import Triangle
from phonsmith.potentials.calculators import Evaluation, evaluate
from phonsmith.potentials.settings import PotentialSource

SOAP = {"l_max": 3, "n_max": 4, "cutoff_angstrom": 4.0, "n_sparse": 40}
RULE = {"factor": 1e-3, "minimum_force_ev_per_angstrom": 0.01}
SIGMA = {"energy_ev_per_atom": 1e-3, "force_ev_per_angstrom": 0.02, "virial_ev_per_atom": 0.02}
SW = PotentialSource(calculator="stillinger-weber")
NO_ENERGY = Baseline({"Si": 0.0}, "forces_only")


def labelled(atoms, result, structure, kind, index=0):
    atoms.info.update(structure=structure, kind=kind, generation=0, index=index, method="test")
    atoms.info[ENERGY], atoms.info[STRESS] = result.energy, result.stress
    atoms.set_array(FORCES, result.forces)
    return atoms


def rattled_silicon(number, seed=1):
    random = np.random.default_rng(seed)
    cells = []
    for _ in range(number):
        atoms = bulk("Si", a=5.43, cubic=True)
        atoms.set_cell(
            atoms.cell.array @ (np.eye(3) + random.normal(scale=0.01, size=(3, 3))), True
        )
        atoms.positions += random.normal(scale=0.06, size=(8, 3))
        cells.append(atoms)
    results = evaluate(cells, SW)
    pairs = zip(cells, results, strict=True)
    return [labelled(*pair, "dia", "rattled", i) for i, pair in enumerate(pairs)]


def displaced_silicon(repeat=2):
    cell = bulk("Si", a=5.431, cubic=True).repeat(repeat)
    cell.positions[0] += (0.01, 0, 0)
    cell = labelled(cell, evaluate([cell], SW)[0], "dia", "displaced")
    del cell.info[ENERGY], cell.info[STRESS]
    return cell


def coefficients(folder):
    text = (folder / "gap.xml").read_text()
    return np.array([float(number) for number in re.findall(r'alpha="([^"]*)"', text)])


def trained(root, frames, fitter="phonsmith", *, baseline=None, threads=1, cache=None, **settings):
    folder = root / fitter
    folder.mkdir(parents=True)
    fit = GapFit(**{"kind": "gap", "soap": SOAP, "sigma": SIGMA, "fitter": fitter, **settings})
    baseline = baseline or isolated_energies(frames)
    record = fits.train(fit, frames, baseline, folder, root / f"work-{fitter}", threads, cache)
    return folder, record


def assert_equal_fits(root, frames, tested, *, coefficient=1e-3, **settings):
    folders = [trained(root, frames, fitter, **settings)[0] for fitter in ("gap_fit", "phonsmith")]
    theirs, ours = (coefficients(folder) for folder in folders)
    assert len(theirs) == len(ours)
    assert np.linalg.norm(ours - theirs) < coefficient * np.linalg.norm(theirs)
    results = [
        evaluate(tested, PotentialSource(calculator="gap", model=str(folder / "gap.xml")))
        for folder in folders
    ]
    for its, mine in zip(*results, strict=True):
        assert mine.forces == pytest.approx(its.forces, abs=1e-6)
        assert mine.stress == pytest.approx(its.stress, abs=1e-6)
        if settings.get("baseline") is not NO_ENERGY:
            assert mine.energy == pytest.approx(its.energy, abs=1e-6 * len(mine.forces))


def test_energies_forces_and_virials(tmp_path):
    frames = rattled_silicon(12)
    assert_equal_fits(tmp_path, frames[:9], frames[9:])


def test_pairs_triplets_and_isolated_atoms(tmp_path):
    frames = rattled_silicon(8)
    lone = Atoms("Si", cell=[15] * 3, pbc=True)
    lone.info.update(structure="Si", kind="isolated_atom", generation=0, index=0, method="test")
    lone.info[ENERGY] = -0.3
    settings = {"soap": None, "three_body": {"n_sparse": 30, "cutoff_angstrom": 3.0}}
    assert_equal_fits(tmp_path / "3", [*frames[:6], lone], frames[6:], **settings)
    assert_equal_fits(tmp_path / "2", [*frames[:6], lone], frames[6:], soap=None)


@pytest.mark.parametrize(
    "settings",
    [
        {"force_proportional": RULE, "balance_exponent": 0.5},
        {"sigma": {"force_ev_per_angstrom": 1.5e-5}, "force_proportional": None},
    ],
)
def test_displaced_cells_with_constraints(tmp_path, settings):
    frames = [displaced_silicon()]
    frames += constraint_frames({"dia": bulk("Si", a=5.431)}, ConstraintCells())
    soap = {**SOAP, "sparse_method": "random", "share_sparse": "structure"}
    # coefficients of nearly equal environments are hardly determined
    settings = {**settings, "soap": soap, "baseline": NO_ENERGY, "coefficient": 0.1}
    assert_equal_fits(tmp_path, frames, frames, **settings)


def test_two_elements_in_groups(tmp_path):
    random = np.random.default_rng(0)
    frames = []
    for i in range(8):
        atoms = bulk("NaCl", "rocksalt", a=5.0, cubic=True)
        atoms.positions += random.normal(scale=0.1, size=(8, 3))
        bare = atoms.copy()
        bare.calc = LennardJones(sigma=2.0, epsilon=0.3, rc=4.5, smooth=True)
        energy, stress = bare.get_potential_energy(), bare.get_stress(voigt=False)
        result = Evaluation(energy - 4 * 2.5, bare.get_forces(), stress)
        frames.append(labelled(atoms, result, "nacl", "recorded" if i % 2 else "rattled", i))
    soap = {**SOAP, "n_sparse_by_group": {"recorded": 20, "rattled": 30}}
    groups = {"recorded": {**SIGMA, "force_ev_per_angstrom": 0.1}}
    three = {"n_sparse": 20, "cutoff_angstrom": 3.9}
    settings = {"soap": soap, "sigma_by_group": groups, "three_body": three}
    assert_equal_fits(tmp_path, frames[:6], frames[6:], **settings)


def labels_of_tin(shared_data):
    """VASP: displaced and rattled cells of 64 atoms, an isolated atom."""
    frames = []
    for run in sorted((shared_data / "sn-alpha-vasp").rglob("vasprun.xml*")):
        atoms = read(run)
        result = Evaluation(
            atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
        )
        kind = "displaced" if "phonon" in str(run) else "rattled"
        if "static" in str(run):
            frames.append(labelled(atoms, result, "alpha", kind, len(frames)))
        elif "iso_atom" in str(run):
            frames.append(labelled(atoms, result, "Sn", "isolated_atom"))
            del frames[-1].info[STRESS], frames[-1].arrays[FORCES]
    assert len(frames) == 10
    return frames


TIN = {
    "sigma": {"force_ev_per_angstrom": 0.1, "virial_ev_per_atom": 0.05},
    "force_proportional": {"factor": 0.01, "minimum_force_ev_per_angstrom": 0.01},
    "balance_exponent": 0,
}


def test_real_labels_of_tin(shared_data, tmp_path):
    """Settings of sn-small."""
    frames = labels_of_tin(shared_data)
    bound = [atoms for atoms in frames if atoms.info["kind"] != "isolated_atom"]
    soap = {"cutoff_angstrom": 5, "n_max": 8, "l_max": 4, "n_sparse": 100}
    soap["sparse_from"] = "training"
    assert_equal_fits(tmp_path, frames, bound, **TIN, soap=soap)


def test_triplets_of_real_cells(shared_data, tmp_path):
    """Beside pairs and SOAP."""
    frames = [labels_of_tin(shared_data)[index] for index in (0, 1, 4, 6)]
    soap = {"cutoff_angstrom": 5, "n_sparse": 50, "l_max": 3, "n_max": 5}
    three = {"cutoff_angstrom": 4.0}
    assert_equal_fits(tmp_path, frames, frames[1:], **TIN, soap=soap, three_body=three)


def test_coefficients_do_not_depend_on_the_number_of_processes(tmp_path):
    frames = rattled_silicon(10)
    single, _ = trained(tmp_path / "1", frames)
    double, record = trained(tmp_path / "2", frames, threads=2)
    assert contents(single) == contents(double)
    assert record.peak_memory_mb > 50


def test_a_later_fit_with_other_sigma_uses_the_rows_of_an_earlier_one(tmp_path, monkeypatch):
    frames = [*rattled_silicon(6), displaced_silicon()]
    cache = Cache(tmp_path / "cache", 1)
    trained(tmp_path / "1", frames, cache=cache)
    other = {"sigma": {**SIGMA, "force_ev_per_angstrom": 0.05}}
    alone, _ = trained(tmp_path / "2", frames, **other)
    with monkeypatch.context() as reading:
        reading.setattr(choice, "run_gap_fit", None)
        reading.setattr(Design, "_rows", None)
        folder, _ = trained(tmp_path / "3", frames, cache=cache, **other)
    assert contents(folder) == contents(alone)
    for file in (tmp_path / "cache").glob("??/*"):
        file.write_bytes(file.read_bytes()[:200])
    folder, _ = trained(tmp_path / "4", frames, cache=cache, **other)
    assert contents(folder) == contents(alone)


@pytest.mark.parametrize("method", ["cur_points", "random", "pivot"])
def test_a_later_fit_with_other_priors_uses_descriptors_and_sparse_points(
    method, tmp_path, monkeypatch
):
    frames = rattled_silicon(4)
    cache = Cache(tmp_path / "cache", 1)
    soap = {**SOAP, "sparse_method": method}
    trained(tmp_path / "1", frames, cache=cache, soap=soap)
    other = {"soap": {**soap, "zeta": 2, "delta_ev": 0.3}, "two_body": {"delta_ev": 1.5}}
    with monkeypatch.context() as without_quip:
        without_quip.setattr(choice, "run_gap_fit", None)
        without_quip.setattr(descriptors, "_by_quippy", None)
        folder, _ = trained(tmp_path / "2", frames, cache=cache, **other)
    # gap_fit chooses with these priors
    theirs, _ = trained(tmp_path / "2", frames, "gap_fit", **other)
    ours, its = (read_terms(one / "gap.xml") for one in (folder, theirs))
    for mine, term in zip(ours, its, strict=True):
        assert vars(mine).keys() == vars(term).keys()
        for name, value in vars(mine).items():
            assert np.array_equal(value, getattr(term, name)), name
    assert command_line(folder) == command_line(theirs)
    gap, cells = "gap.xml", rattled_silicon(2, seed=3)
    mine, its = (
        evaluate(cells, PotentialSource(calculator="gap", model=str(one / gap)))
        for one in (folder, theirs)
    )
    assert mine[1].forces == pytest.approx(its[1].forces, abs=1e-6)


def command_line(folder):
    text = (folder / "gap.xml").read_text()
    return re.search(r"<command_line>.*</command_line>", text, re.DOTALL)[0].strip()


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_slab_has_no_neighbours_across_its_vacuum(tmp_path):
    """QUIP's energies of a potential honour the periodicity; gap_fit does not."""
    slabs = rattled_silicon(5)
    for atoms in slabs:
        atoms.pbc = (True, True, False)
    bare = [Atoms(one.numbers, one.positions, cell=one.cell, pbc=one.pbc) for one in slabs]
    for atoms, result in zip(slabs, evaluate(bare, SW), strict=True):
        labelled(atoms, result, "slab", "rattled")
        del atoms.info[STRESS]
    folder, _ = trained(tmp_path, [*rattled_silicon(5, seed=2), *slabs])
    gap = PotentialSource(calculator="gap", model=str(folder / "gap.xml"))
    for atoms, result in zip(slabs, evaluate(bare, gap), strict=True):
        assert np.abs(result.forces - atoms.arrays[FORCES]).max() < 0.3


def test_arguments_of_gap_fit_need_gap_fit():
    with pytest.raises(ValueError, match="set `fitter: gap_fit`"):
        GapFit(kind="gap", extra_arguments={"sparsify_only_no_fit": "T"})


def test_pairs_are_those_of_quip():
    cell = bulk("NaCl", "rocksalt", a=5.0).repeat((2, 1, 1))
    cell.rattle(0.05, seed=1)
    centres = np.arange(len(cell))
    for elements in ("Z1=11 Z2=17", "Z1=17 Z2=17", ""):
        text = f"distance_2b cutoff=4.2 covariance_type=ard_se {elements}"
        theirs = dict(_by_quippy(text, cell, centres, True))
        ours = dict(_pairs(_plain_pair(text), cell, centres, True))
        assert ours.keys() == theirs.keys() and len(ours) > 1
        for centre, mine in ours.items():
            its = theirs[centre]
            for name in ("values", "cutoffs", "gradients", "cutoff_gradients", "offsets"):
                a, b = (np.sort(getattr(one, name).ravel()) for one in (mine, its))
                assert a == pytest.approx(b, abs=1e-12)
    assert _plain_pair("distance_2b cutoff=4 only_inter=T") is None
    assert _plain_pair("soap cutoff=4") is None


def test_least_squares_by_blocks_are_those_at_once():
    random = np.random.default_rng(0)
    rows, targets = random.normal(size=(70, 12)), random.normal(size=70)
    both = np.column_stack([rows, targets])
    triangle, other = Triangle(np.zeros((13, 13))), Triangle(np.zeros((13, 13)))
    for begin in (0, 5, 30):
        triangle.add([both[begin : {0: 5, 5: 30, 30: 50}[begin]]])
    other.add([both[50:60], both[60:]])
    triangle.merge(other.r)
    assert triangle.solve() == pytest.approx(np.linalg.lstsq(rows, targets)[0], abs=1e-12)


def test_sparse_points_that_are_too_alike_are_refused(tmp_path):
    frames = [displaced_silicon()]
    soap = {**SOAP, "sparse_from": "training", "n_sparse": 60}
    with pytest.raises(PhonsmithError, match="lower n_sparse, or raise sparse_jitter"):
        trained(tmp_path, frames, baseline=NO_ENERGY, soap=soap, sparse_jitter=1e-20)
