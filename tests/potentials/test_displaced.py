"""Displaced cells by locality: the truth is the full computation of each cell."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits.gap.gap_fit import gap_fit_program
from phonsmith.labels.calculator.method import CalculatorMethod
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.settings import Labels
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials import displaced
from phonsmith.potentials.calculators import Evaluation, evaluate, kept_calculator
from phonsmith.potentials.displaced import evaluate_displaced
from phonsmith.potentials.gap import cutoff_angstrom
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import displaced_cells, make_phonopy, to_ase
from phonsmith.supercells.settings import Displaced

DESCRIPTORS = (
    "distance_2b cutoff=4.0 covariance_type=ard_se delta=1.0 theta_uniform=1.0 "
    "sparse_method=uniform n_sparse=8 : "
    "angle_3b cutoff=3.0 covariance_type=ard_se delta=0.5 theta_uniform=1.0 "
    "sparse_method=uniform n_sparse=10 : "
    "soap cutoff=3.5 cutoff_transition_width=0.8 atom_sigma=0.5 l_max=3 n_max=3 zeta=2 delta=0.5 "
    "covariance_type=dot_product sparse_method=cur_points n_sparse=12"
)


def alloy() -> Atoms:
    """CuAu with a skewed cell and all atoms off their sites: no symmetry but translations."""
    atoms = bulk("Cu", "fcc", a=3.9, cubic=True)
    atoms.symbols[:2] = "Au"
    shear = np.array([[1.01, 0.02, -0.01], [0.0, 0.99, 0.03], [0.0, 0.0, 1.02]])
    atoms.set_cell(atoms.cell[:] @ shear, scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture(scope="module")
def gap(tmp_path_factory: pytest.TempPathFactory) -> PotentialSource:
    """A GAP of pairs, triplets and SOAP for two elements, learnt from EMT."""
    folder = tmp_path_factory.mktemp("gap")
    frames = []
    for seed in range(8):
        frame = alloy()
        frame.rattle(0.15, seed=seed)
        frame.calc = EMT()
        frame.info["e"], frame.arrays["f"] = frame.get_potential_energy(), frame.get_forces()
        frame.calc = None
        frames.append(frame)
    write(folder / "train.xyz", frames)
    subprocess.run(
        [
            *(str(gap_fit_program()), "at_file=train.xyz", f"gap={{{DESCRIPTORS}}}"),
            *("gap_file=gap.xml",),
            *("default_sigma={0.05 0.2 0.1 0.0}", "energy_parameter_name=e", "e0_method=average"),
            *("force_parameter_name=f", "sparse_jitter=1e-6", "do_copy_at_file=F"),
            "sparse_separate_file=T",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return PotentialSource(calculator="gap", model=str(folder / "gap.xml"))


@pytest.fixture
def no_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a cell is computed in full."""

    def full(cells: list[Atoms], *_: object) -> list[Evaluation]:
        assert not cells
        return []

    monkeypatch.setattr(displaced, "evaluate", full)


def moved(perfect: Atoms, *atoms: int) -> Atoms:
    cell = perfect.copy()
    for atom in atoms:
        cell.positions[atom] += np.random.default_rng(atom).uniform(-0.05, 0.05, 3)
    return cell


def assert_equal(found: list[Evaluation], expected: list[Evaluation]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.forces - other.forces).max() < 1e-10
        assert one.energy == pytest.approx(other.energy, abs=1e-9, rel=0)
        assert one.stress is not None
        assert other.stress is not None
        assert np.abs(one.stress - other.stress).max() < 1e-12


def supercell(*repeat: int) -> tuple[Atoms, np.ndarray]:
    """A supercell and the permutations of its translations."""
    phonon = make_phonopy(alloy(), np.diag(repeat))
    return to_ase(phonon.supercell), phonon.primitive.atomic_permutations


@pytest.mark.usefixtures("no_detour")
@pytest.mark.parametrize("translated", [True, False])
@pytest.mark.parametrize("processes", [1, 2])
def test_one_and_two_moved_atoms_equal_the_full_computation(
    gap: PotentialSource, translated: bool, processes: int
) -> None:
    perfect, translations = supercell(3, 3, 3)
    assert len(translations) == 27
    second = int(np.argsort(perfect.get_distances(7, range(len(perfect)), mic=True))[1])
    cells = [
        moved(perfect, 7),
        moved(perfect, 60),
        moved(perfect, 7, second),
        moved(perfect, 3, 90),
    ]
    cells[1].positions[5] += perfect.cell[0]  # the same place
    known = translations if translated else None
    assert_equal(evaluate_displaced(perfect, cells, gap, processes, known), evaluate(cells, gap))


@pytest.mark.usefixtures("no_detour")
def test_images_of_the_moved_atom_are_seen(gap: PotentialSource) -> None:
    """The cell is 3.9 Å wide, less than the range of the pairs, and the atom sees itself move."""
    perfect, translations = supercell(1, 1, 7)
    cells = [moved(perfect, 0), moved(perfect, 20), moved(perfect, 9, 15)]
    assert_equal(evaluate_displaced(perfect, cells, gap, 1, translations), evaluate(cells, gap))


@pytest.mark.usefixtures("no_detour")
def test_translations_that_are_not_exact_are_not_used(gap: PotentialSource) -> None:
    perfect, translations = supercell(3, 3, 3)
    perfect.rattle(1e-6, seed=4)
    cells = [moved(perfect, 7), moved(perfect, 60)]
    assert_equal(evaluate_displaced(perfect, cells, gap, 1, translations), evaluate(cells, gap))


def test_other_cells_are_computed_in_full(gap: PotentialSource) -> None:
    perfect, translations = supercell(3, 3, 3)
    strained = perfect.copy()
    strained.set_cell(1.01 * perfect.cell[:], scale_atoms=True)
    cells = [moved(perfect, 7), strained, moved(perfect, *range(108)), perfect.copy()]
    assert_equal(evaluate_displaced(perfect, cells, gap, 1, translations), evaluate(cells, gap))
    small = alloy()
    cells = [moved(small, 1)]
    assert_equal(evaluate_displaced(small, cells, gap), evaluate(cells, gap))


def test_a_slab_is_computed_in_full(gap: PotentialSource) -> None:
    perfect, _ = supercell(3, 3, 3)
    perfect.pbc = [True, True, False]
    cells = [moved(perfect, 7)]
    assert_equal(evaluate_displaced(perfect, cells, gap), evaluate(cells, gap))


def test_potentials_of_unknown_range_are_computed_in_full() -> None:
    perfect = bulk("Si", cubic=True)
    cells = [moved(perfect, 1)]
    source = PotentialSource(calculator="stillinger-weber")
    (found,) = evaluate_displaced(perfect, cells, source)
    assert np.array_equal(found.forces, evaluate(cells, source)[0].forces)


@pytest.mark.usefixtures("no_detour")
def test_phonons_of_a_gap_use_it(gap: PotentialSource) -> None:
    settings, matrix = Displaced(distance_angstrom=0.02), 3 * np.eye(3, dtype=int)
    phonon = potential_phonons(alloy(), matrix, settings, gap)
    cells = displaced_cells(make_phonopy(alloy(), matrix), settings)
    for forces, one in zip(phonon.forces, evaluate(cells[:3], gap), strict=False):
        assert np.abs(forces - one.forces).max() < 1e-10


@pytest.mark.parametrize("threads", [1, 2])
def test_cells_of_third_order_are_labelled_together(
    gap: PotentialSource, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Atom 7 is displaced in all of them, as where one atom stands for all."""
    perfect, _ = supercell(3, 3, 3)
    cells = [moved(perfect, 7, second) for second in (8, 20, 33, 60, 90)]
    for index, cell in enumerate(cells):
        cell.info.update(structure="alloy", kind="displaced", generation=0, index=index, seed=-1)
    method = CalculatorMethod(CalculatorReference(method="calculator", potential=gap))
    expected = [method.label(cell) for cell in cells]
    monkeypatch.setattr(CalculatorMethod, "label", None)
    labels, failures = label_cells(cells, method, Labels(), None, threads)
    assert not failures
    for label, other in zip(labels, expected, strict=True):
        assert np.abs(label.arrays[FORCES] - other.arrays[FORCES]).max() < 1e-10
        assert label.info[ENERGY] == pytest.approx(other.info[ENERGY], abs=1e-9, rel=0)
        assert np.abs(label.info[STRESS] - other.info[STRESS]).max() < 1e-12
        assert label.info["settings"] == other.info["settings"]


def test_cells_that_differ_everywhere_are_labelled_one_by_one(gap: PotentialSource) -> None:
    perfect, _ = supercell(3, 3, 3)
    method = CalculatorMethod(CalculatorReference(method="calculator", potential=gap))
    rattled = [perfect.copy() for _ in range(3)]
    for seed, cell in enumerate(rattled):
        cell.rattle(0.01, seed=seed)
    strained = moved(perfect, 1)
    strained.set_cell(1.01 * strained.cell[:], scale_atoms=True)
    few = [moved(perfect, 7), moved(perfect, 8)]
    other = moved(perfect, 7)
    other.symbols[0] = "Cu" if other.symbols[0] == "Au" else "Au"
    for cells in (rattled, [*few, strained], few, [*few, other]):
        assert method.label_in_batches(cells, lambda index: None, 1) is None


def test_unknown_elements_and_other_atoms_are_refused(gap: PotentialSource) -> None:
    perfect, _ = supercell(3, 3, 3)
    cell = moved(perfect, 0)
    cell.symbols[0] = "Ag"
    with pytest.raises(PhonsmithError, match="differ from the perfect cell"):
        evaluate_displaced(perfect, [cell], gap)
    perfect.symbols[0] = "Ag"
    with pytest.raises(PhonsmithError, match="does not support Ag"):
        evaluate_displaced(perfect, [cell], gap)


def test_a_failing_potential_is_named(
    gap: PotentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    perfect, translations = supercell(3, 3, 3)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("lost")

    monkeypatch.setattr(type(kept_calculator(gap)), "calculate", fails)
    with pytest.raises(UnusablePotential, match=r"'gap' .* fails on a displaced cell: .*lost"):
        evaluate_displaced(perfect, [moved(perfect, 0)], gap, 1, translations)


XML = """<GAP><Potential label="G" init_args="{potential}"/>
<GAP_params label="G"><GAP_data do_core="{core}"><e0 Z="14" value="0.0"/></GAP_data>
<gpSparse><gpCoordinates><descriptor>distance_2b cutoff=4.5 Z1=14 Z2=14</descriptor>
</gpCoordinates><gpCoordinates><descriptor> {descriptor}</descriptor></gpCoordinates></gpSparse>
</GAP_params></GAP>"""

GIVEN = {"potential": "IP GAP label=G", "core": "F", "descriptor": "soap cutoff=5.25 n_max=8"}


def written(folder: Path, **changes: str) -> PotentialSource:
    path = folder / "gap.xml"
    path.write_text(XML.format(**{**GIVEN, **changes}))
    return PotentialSource(calculator="gap", model=str(path))


def test_the_longest_cutoff_of_the_descriptors_is_the_range(
    tmp_path: Path, gap: PotentialSource
) -> None:
    assert cutoff_angstrom(written(tmp_path)) == 5.25
    assert cutoff_angstrom(written(tmp_path, descriptor="angle_3b cutoff=3 Z=14")) == 4.5
    assert cutoff_angstrom(gap) == 4.0


@pytest.mark.parametrize(
    "changes",
    [
        {"potential": "Sum init_args_pot1={IP GAP label=G} init_args_pot2={IP Glue}"},
        {"potential": "IP GAP label=G E_scale=0.5"},
        {"core": "T"},
        {"descriptor": "soap cutoff=5.25 n_max=8 average=T"},
        {"descriptor": "distance_2b cutoff=5.25 only_intra=T resid_name=resid"},
        {"descriptor": "distance_Nb order=4 cutoff=5.25"},
        {"descriptor": "coordination cutoff=5.25"},
        {"descriptor": "angle_3b Z=14"},
        {"descriptor": ""},
    ],
)
def test_a_term_that_may_reach_further_leaves_the_range_unknown(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    assert cutoff_angstrom(written(tmp_path, **changes)) is None


def test_arguments_leave_the_range_unknown(gap: PotentialSource) -> None:
    assert cutoff_angstrom(gap.model_copy(update={"arguments": {"calc_args": "x=1"}})) is None


def test_a_changed_model_file_is_read_anew(gap: PotentialSource, tmp_path: Path) -> None:
    first = kept_calculator(gap)
    assert kept_calculator(gap) is first
    for file in Path(str(gap.model)).parent.glob("gap.xml*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    copy = PotentialSource(calculator="gap", model=str(tmp_path / "gap.xml"))
    second = kept_calculator(copy)
    assert second is not first
    text = (tmp_path / "gap.xml").read_text()
    (tmp_path / "gap.xml").write_text(text + "\n")
    assert kept_calculator(copy) is not second
