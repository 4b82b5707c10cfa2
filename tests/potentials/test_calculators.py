"""Potentials: truth from their papers, from derivatives, and from symmetry."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.potentials import calculators
from phonsmith.potentials.calculators import (
    Evaluation,
    Potential,
    check_elements,
    evaluate,
    evaluate_batch,
    evaluate_one,
    known_elements,
    load_potential,
    make_calculator,
    require_energies,
    save_potential,
)
from phonsmith.potentials.gap import check_model as check_gap
from phonsmith.potentials.settings import PotentialSource
from phonsmith.potentials.torch_precision import torch_dtype

SW = PotentialSource(calculator="stillinger-weber")
CHGNET = PotentialSource(calculator="chgnet")


def rattled(a: float = 5.43, seed: int = 0) -> Atoms:
    """Sheared, strained diamond without any symmetry left."""
    atoms = bulk("Si", a=a, cubic=True)
    shear = np.array([[1.01, 0.01, -0.005], [0.0, 0.99, 0.02], [0.0, 0.0, 1.005]])
    atoms.set_cell(atoms.cell[:] @ shear, scale_atoms=True)
    atoms.rattle(0.05, seed=seed)
    return atoms


def numerical_stress(atoms: Atoms, calculator: object, step: float) -> np.ndarray:
    """(1/V) dE/dε by central differences over symmetric strains, eV/Å³."""
    stress = np.zeros((3, 3))
    for i in range(3):
        for j in range(i, 3):
            energies = []
            for sign in (1, -1):
                strain = np.zeros((3, 3))
                strain[i, j] += sign * step / 2
                strain[j, i] += sign * step / 2
                cell = atoms.copy()
                cell.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
                energies.append(evaluate_one(cell, calculator).energy)
            stress[i, j] = stress[j, i] = (energies[0] - energies[1]) / (2 * step)
    return stress / atoms.get_volume()


@pytest.fixture(scope="module")
def chgnet():
    return make_calculator(CHGNET)


def test_stillinger_weber_silicon_has_the_published_energy_and_lattice() -> None:
    # Stillinger and Weber 1985: minimum of -2 epsilon = -4.336 eV an atom at a = 5.431 Å
    lattices = np.linspace(5.38, 5.48, 11)
    energies = [e.energy / 2 for e in evaluate([bulk("Si", a=a) for a in lattices], SW)]
    quadratic = np.polyfit(lattices - 5.431, energies, 2)
    assert -quadratic[1] / (2 * quadratic[0]) == pytest.approx(0, abs=2e-3)
    (result,) = evaluate([bulk("Si", a=5.431)], SW)
    assert result.energy / 2 == pytest.approx(-4.3363, abs=5e-4)
    assert np.abs(result.stress).max() < 1e-4
    assert np.abs(result.forces).max() < 1e-10


def test_stillinger_weber_stress_and_forces_are_derivatives_of_the_energy() -> None:
    calculator = make_calculator(SW)
    atoms = rattled()
    result = evaluate_one(atoms, calculator)
    assert np.allclose(result.stress, numerical_stress(atoms, calculator, 1e-4), atol=1e-7)
    moved = [atoms.copy(), atoms.copy()]
    moved[0].positions[3, 1] += 1e-4
    moved[1].positions[3, 1] -= 1e-4
    plus, minus = (evaluate_one(cell, calculator).energy for cell in moved)
    assert result.forces[3, 1] == pytest.approx(-(plus - minus) / 2e-4, abs=1e-6)


def test_chgnet_stress_has_ase_sign_and_units(chgnet: object) -> None:
    atoms = rattled()
    result = evaluate_one(atoms, chgnet)
    expected = numerical_stress(atoms, chgnet, 5e-3)  # float32 energies want a large step
    assert np.abs(expected).max() > 0.01
    assert np.allclose(result.stress, expected, atol=4e-4)
    compressed = evaluate_one(bulk("Si", a=5.2), chgnet)
    stretched = evaluate_one(bulk("Si", a=5.7), chgnet)
    assert np.trace(compressed.stress) < 0 < np.trace(stretched.stress)
    assert result.forces.dtype == np.float64
    assert result.stress.shape == (3, 3)


def test_chgnet_lattice_of_silicon(chgnet: object) -> None:
    below, above = (evaluate_one(bulk("Si", a=a), chgnet).stress for a in (5.45, 5.47))
    assert np.trace(below) < 0 < np.trace(above)  # the design names 5.461 Å


def test_chgnet_is_quiet(capfd: pytest.CaptureFixture[str], chgnet: object) -> None:
    make_calculator(CHGNET)
    out, err = capfd.readouterr()
    assert "will run on" not in out + err


def test_chgnet_works_where_mace_has_set_float64(chgnet: object) -> None:
    torch = pytest.importorskip("torch")
    before = evaluate_one(bulk("Si"), chgnet)
    torch.set_default_dtype(torch.float64)
    try:
        after = evaluate_one(bulk("Si"), chgnet)
        anew = evaluate_one(bulk("Si"), make_calculator(CHGNET))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert before.energy == after.energy == anew.energy


def test_elements_in_a_models_table_are_named() -> None:
    class Table:
        zs = (14, 8)

    class Model:
        z_table = Table()

    with pytest.raises(PhonsmithError, match="does not support Ge;"):
        evaluate_one(bulk("Ge"), Model())  # type: ignore[arg-type]


def test_energy_is_the_one_the_forces_derive_from() -> None:
    class Smeared:
        implemented_properties = ("energy", "free_energy", "forces")

        def get_property(self, name: str, atoms: Atoms) -> object:
            return {"energy": -1.0, "free_energy": -2.0, "forces": np.zeros((2, 3))}[name]

    result = evaluate_one(bulk("Si"), Smeared())  # type: ignore[arg-type]
    assert result.energy == -2.0
    assert result.stress is None


def test_cells_are_left_as_they_are() -> None:
    atoms = rattled()
    before = atoms.copy()
    evaluate([atoms], SW)
    assert atoms == before
    assert atoms.calc is None


def test_parallel_equals_serial_in_the_order_of_the_cells() -> None:
    cells = [rattled(5.3 + 0.05 * i, seed=i) for i in range(5)]
    serial = evaluate(cells, SW)
    parallel = evaluate(cells, SW, processes=2)
    for one, other in zip(serial, parallel, strict=True):
        assert one.energy == other.energy
        assert np.array_equal(one.forces, other.forces)
        assert np.array_equal(one.stress, other.stress)
    assert len({one.energy for one in serial}) == 5


def test_a_script_without_guard_can_use_processes(tmp_path: Path, repository: Path) -> None:
    # Snakemake scripts have no `if __name__ == "__main__"`
    script = tmp_path / "script.py"
    script.write_text(
        "from ase.build import bulk\n"
        "from phonsmith.potentials.calculators import evaluate\n"
        "from phonsmith.potentials.settings import PotentialSource\n"
        "source = PotentialSource(calculator='stillinger-weber')\n"
        "results = evaluate([bulk('Si', a=5.4), bulk('Si', a=5.5)], source, 2)\n"
        "print('cells', len(results))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(repository), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["cells 2"]


class Deadly(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: object, properties: object, system_changes: object) -> None:
        os._exit(9)


def deadly() -> Deadly:
    return Deadly()


def test_a_killed_worker_is_an_error_and_not_a_hang() -> None:
    source = PotentialSource(calculator=f"{__name__}:Deadly")
    with pytest.raises(PhonsmithError, match="worker process died"):
        evaluate([bulk("Si"), bulk("Si")], source, processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failing_calculator_is_named(processes: int) -> None:
    source = PotentialSource(calculator="ase.calculators.emt:EMT")
    cells = [bulk("Cu"), bulk("Si")]
    with pytest.raises(PhonsmithError, match=r"ase.calculators.emt:EMT' fails on cell 1 \(Si2\)"):
        evaluate(cells, source, processes)


def test_no_cells_need_no_calculator() -> None:
    assert evaluate([], PotentialSource(calculator="no.such:Thing")) == []


def test_unknown_elements_are_refused() -> None:
    # matscipy would take germanium for silicon without a word
    with pytest.raises(PhonsmithError, match="does not support Ge"):
        evaluate([bulk("Ge")], SW)
    assert known_elements(SW) == {"Si"}
    elements = known_elements(CHGNET)
    assert elements is not None
    assert {"Si", "Sb", "Se", "Na", "Tl", "Pu"} <= elements
    assert len(elements) == 89  # as many as its paper names
    assert not {"Po", "Am"} & elements
    assert known_elements(PotentialSource(calculator="a:b")) is None
    stated = PotentialSource(calculator="a:b", elements=["Cu"])
    check_elements(stated, [bulk("Cu")])
    with pytest.raises(PhonsmithError, match="Si"):
        check_elements(stated, [bulk("Si")])


def test_elements_of_a_gap_come_from_its_descriptors(tmp_path: Path) -> None:
    model = tmp_path / "gap.xml"
    model.write_text(
        '<GAP>\n<GAP_params><GAP_data>\n<e0 Z="1" value="0"/>\n<e0 Z="2" value="0"/>\n</GAP_data>\n'
        "<descriptor> distance_2b cutoff=5.0 Z1=31 Z2=8</descriptor>\n"
        "<descriptor> soap n_max=10 n_species=2 Z=8 species_Z={8 31 }</descriptor>\n"
        "</GAP_params></GAP>\n"
    )
    source = PotentialSource(calculator="gap", model=str(model))
    assert known_elements(source) == {"Ga", "O"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calculator": "no.such.module:Thing"}, "cannot be imported"),
        ({"calculator": "ase.calculators.emt:Nothing"}, "cannot be imported"),
        ({"calculator": "ase.calculators.harmonic:HarmonicCalculator"}, "cannot be built: TypeErr"),
        ({"calculator": "json:JSONDecoder"}, "is not a class of an ASE calculator"),
        ({"calculator": "stillinger-weber", "arguments": {"lamda": 1}}, "unknown argument lamda"),
        ({"calculator": "gap", "model": "absent.xml"}, "absent.xml: no such model file"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(settings: dict, message: str) -> None:
    with pytest.raises(PhonsmithError, match=message) as caught:
        make_calculator(PotentialSource(**settings))
    assert "\n" not in str(caught.value)


def test_a_function_that_makes_a_calculator_needs_trust() -> None:
    source = PotentialSource(calculator=f"{__name__}:deadly")
    with pytest.raises(PhonsmithError, match=r"is not a class of an ASE calculator.*trust: true"):
        make_calculator(source)
    made = make_calculator(source.model_copy(update={"trust": True}))
    assert type(made).__name__ == "Deadly"


def test_models_are_checked_before_they_are_loaded(tmp_path: Path) -> None:
    model = tmp_path / "gap.xml"
    model.write_text("not a potential")
    wrong = PotentialSource(calculator="gap", model=str(model), sha256="0" * 64)
    with pytest.raises(PhonsmithError, match="checksum differs"):
        make_calculator(wrong)
    right = PotentialSource(calculator="gap", model=str(model), sha256=sha256_of(model))
    with pytest.raises(PhonsmithError, match="not a GAP"):
        make_calculator(right)


def gap_file(folder: Path, terms: str, before: str = "") -> PotentialSource:
    model = folder / "gap.xml"
    model.write_text(
        f'<GAP_1><Potential label="GAP_1" init_args="{terms}"/>{before}'
        '<GAP_params label="GAP_1"><gpSparse sparseX_filename="gap.xml.sparseX.1"/></GAP_params>'
        "</GAP_1>"
    )
    return PotentialSource(calculator="gap", model=str(model))


@pytest.mark.parametrize(
    "terms",
    [
        "FilePot command=./run.sh",
        "Sum init_args_pot1={IP GAP label=GAP_1} init_args_pot2={FilePot command=./run.sh}",
        "IP GAP label=GAP_1} {FilePot command=./run.sh",
    ],
)
def test_a_gap_file_that_runs_a_command_is_refused(tmp_path: Path, terms: str) -> None:
    (tmp_path / "gap.xml.sparseX.1").touch()
    with pytest.raises(PhonsmithError, match="QUIP runs commands"):
        make_calculator(gap_file(tmp_path, terms))


def test_a_gap_with_a_long_baseline_is_one(tmp_path: Path) -> None:
    """As GAP-18, whose <GAP_params> begins behind the glue potential, after 4096 characters."""
    terms = "Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP label=GAP_1}"
    source = gap_file(tmp_path, terms, before=f"<Glue_params>{'<point/>' * 1000}</Glue_params>")
    with pytest.raises(PhonsmithError, match=r"gap.xml.sparseX.1: no such file.*copy all files"):
        make_calculator(source)
    (tmp_path / "gap.xml.sparseX.1.bz2").touch()
    with pytest.raises(PhonsmithError, match=r"unpack it: bunzip2 .*sparseX.1.bz2"):
        make_calculator(source)
    (tmp_path / "gap.xml.sparseX.1").touch()
    check_gap(source)


def test_potential_file_moves_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fit"
    folder.mkdir()
    (folder / "gap.xml").write_text("<GAP_params/>")
    source = PotentialSource(calculator="gap", model=str(folder / "gap.xml"))
    potential = Potential(source=source, has_energies=True, level_of_theory="PBE", fit="gap-a")
    save_potential(folder / "potential.json", potential)
    assert load_potential(folder / "potential.json") == potential
    folder.rename(tmp_path / "elsewhere")
    moved = load_potential(tmp_path / "elsewhere" / "potential.json")
    assert moved.source.model == str(tmp_path / "elsewhere" / "gap.xml")


def test_broken_potential_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(PhonsmithError, match="no such file"):
        load_potential(tmp_path / "potential.json")
    (tmp_path / "potential.json").write_text('{"source": 1')
    with pytest.raises(PhonsmithError, match=r"not a potential.json") as caught:
        load_potential(tmp_path / "potential.json")
    assert "\n" not in str(caught.value)


def test_force_only_fits_are_refused_where_energies_matter() -> None:
    force_only = Potential(source=SW, has_energies=False, level_of_theory="x", fit="gap-b")
    with pytest.raises(
        PhonsmithError, match="'gap-b' was trained on forces only, but the equation"
    ):
        require_energies(force_only, "the equation of state")
    require_energies(force_only.model_copy(update={"has_energies": True}), "anything")


def test_evaluation_cannot_be_changed() -> None:
    result = Evaluation(energy=0.0, forces=np.zeros((1, 3)), stress=None)
    with pytest.raises(AttributeError):
        result.energy = 1.0  # type: ignore[misc]


def test_mace_in_batches_is_mace_one_by_one() -> None:
    """Cells of different sizes and elements in one pass, against ASE's calculator."""
    import torch
    from mace.calculators import MACECalculator
    from mace.modules import MACE, interaction_classes

    o3 = pytest.importorskip("e3nn.o3")  # after mace, which makes it loadable
    torch.manual_seed(3)
    with torch_dtype("float64"):
        block = interaction_classes["RealAgnosticResidualInteractionBlock"]
        model = MACE(
            r_max=4.0,
            num_bessel=4,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=block,
            interaction_cls_first=block,
            num_interactions=2,
            num_elements=2,
            hidden_irreps=o3.Irreps("8x0e"),
            MLP_irreps=o3.Irreps("4x0e"),
            atomic_energies=np.array([-1.0, -2.0]),
            avg_num_neighbors=8,
            atomic_numbers=[8, 14],
            correlation=2,
            gate=torch.nn.functional.silu,
        )
    calculator = MACECalculator(models=[model], device="cpu", default_dtype="float64")
    random = np.random.default_rng(5)
    cells = [bulk("Si", "diamond", a=5.4), bulk("Si", "diamond", a=5.3, cubic=True)]
    cells.append(bulk("SiO", "rocksalt", a=4.2, cubic=True))
    for cell in cells:
        cell.positions += random.normal(scale=0.1, size=(len(cell), 3))
    together = evaluate_batch(cells, calculator)
    for cell, found in zip(cells, together, strict=True):
        alone = evaluate_one(cell, calculator)
        assert found.energy == pytest.approx(alone.energy, abs=1e-10)
        assert found.forces == pytest.approx(alone.forces, abs=1e-10)
        assert found.stress == pytest.approx(alone.stress, abs=1e-10)
        assert np.abs(alone.forces).max() > 1e-3


@pytest.mark.parametrize("too_many", [99, 2], ids=["batches", "out of memory"])
def test_cells_are_evaluated_in_batches_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, too_many: int
) -> None:
    """One by one where a batch fails."""
    source = PotentialSource(calculator="stillinger-weber")
    cells = [bulk("Si", a=5.43 + 0.01 * index, cubic=True) for index in range(5)]
    alone = evaluate(cells, source)
    sizes = []

    def batch(some, calculator):
        sizes.append(len(some))
        if len(some) >= too_many:
            raise RuntimeError("out of memory")
        return [calculators.evaluate_one(cell, calculator) for cell in some]

    monkeypatch.setattr(calculators, "on_gpu", lambda _: True)
    monkeypatch.setattr(calculators, "BATCH_ATOMS", 16)
    monkeypatch.setattr(calculators, "evaluate_batch", batch)
    together = evaluate(cells, source)
    assert sizes == [2, 2, 1]
    assert [one.energy for one in together] == [one.energy for one in alone]
