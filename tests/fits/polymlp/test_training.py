"""Polynomial potentials: equations, regression, and trainings in the environment of pypolymlp."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones
from pydantic import TypeAdapter, ValidationError

from phonsmith.datasets.sets import FORCE_SIGMA, Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import training as fits
from phonsmith.fits.polymlp import program
from phonsmith.fits.polymlp.cost import count_features, training_cost
from phonsmith.fits.polymlp.settings import PolymlpFit
from phonsmith.fits.polymlp.training import targets_of
from phonsmith.fits.registry import KINDS, Fit
from phonsmith.potentials.calculators import evaluate, make_calculator
from phonsmith.potentials.environments import environment
from phonsmith.potentials.loaded_files import check_model
from phonsmith.potentials.settings import PotentialSource
from tests.environments import require_environment
from tests.fits.examples import NO_ENERGY, without

FIT = PolymlpFit(kind="polymlp", cutoff_angstrom=5.0)
ALONE = {"Cl": -2.5, "Na": -3.5}


def rock_salt(seed: int) -> Atoms:
    """A strained, rattled cell with atoms in any order, and Lennard-Jones labels."""
    random = np.random.default_rng(seed)
    atoms = Atoms("NaCl" * 4, cell=[5.6] * 3, pbc=True)
    corners = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    atoms.set_scaled_positions(
        [place for one in corners for place in (one, np.add(one, (0.5, 0, 0)))]
    )
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + random.normal(scale=0.03, size=(3, 3))), True)
    atoms.positions += random.normal(scale=0.1, size=(8, 3))
    atoms = atoms[random.permutation(8)]
    atoms.calc = LennardJones(sigma=2.4, epsilon=0.05, rc=5.0, smooth=True)
    alone = sum(ALONE[symbol] for symbol in atoms.symbols)
    atoms.info |= {
        "kind": "rattled",
        "structure": "nacl",
        ENERGY: atoms.get_potential_energy() + alone,
        STRESS: atoms.get_stress(voigt=False),
    }
    atoms.set_array(FORCES, atoms.get_forces())
    atoms.calc = None
    return atoms


# --- without the environment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "model_type", "max_l", "n_gaussians", "polynomial_order", "features"),
    [
        (1, 3, [8, 8], 10, 2, 705),
        (1, 4, [4, 4], 8, 2, 1336),
        (1, 2, [4, 4], 5, 2, 5150),
        (1, 3, [8, 8], 12, 3, 1222),
        (2, 1, [4, 4], 8, 2, 1424),
        (2, 3, [4, 4], 8, 2, 1660),
        (2, 4, [4, 4], 8, 2, 18880),
        (3, 3, [8, 8], 10, 2, 34890),
    ],
)
def test_the_number_of_features_is_that_of_pypolymlp(  # noqa: PLR0917
    elements: int,
    model_type: int,
    max_l: list[int],
    n_gaussians: int,
    polynomial_order: int,
    features: int,
) -> None:
    """As `get_num_features` of pypolymlp 0.22.1 reports."""
    settings = {"model_type": model_type, "max_l": max_l, "n_gaussians": n_gaussians}
    fit = PolymlpFit(kind="polymlp", polynomial_order=polynomial_order, **settings)
    assert count_features(fit, elements) == features


def test_the_cost_follows_the_smaller_of_features_and_equations() -> None:
    few, many = ([Atoms("MgO" * 32, cell=[8.5] * 3, pbc=True)] * count for count in (5, 50))
    costs = [training_cost(PolymlpFit(kind="polymlp"), cells) for cells in (few, many)]
    assert 5 < costs[0].core_seconds < costs[1].core_seconds < 60
    assert costs[0].memory_mb < 1000 and costs[1].memory_mb < 1000


def test_values_are_the_labels_and_weights_their_inverse_errors() -> None:
    atoms = rock_salt(0)
    values, weights = targets_of(atoms, FIT, ALONE)
    assert values.shape == weights.shape == (7 + 24,)
    assert values[0] == pytest.approx(atoms.info[ENERGY] + 24)
    assert weights[0] == pytest.approx(1 / (1e-3 * np.sqrt(8)))
    xx, yy, zz, xy, yz, zx = values[1:7] / atoms.get_volume()
    stress = atoms.info[STRESS]  # the virial has the opposite sign
    assert [xx, yy, zz] == pytest.approx(-np.diag(stress))
    assert [xy, yz, zx] == pytest.approx([-stress[0, 1], -stress[1, 2], -stress[2, 0]])
    assert values[7:] == pytest.approx(atoms.arrays[FORCES].ravel())
    assert weights[7:] == pytest.approx(1 / FIT.sigma.force_ev_per_angstrom)
    atoms.info["kind"] = "displaced"
    displaced = 1 / FIT.sigma.displaced_force_ev_per_angstrom
    assert targets_of(atoms, FIT, ALONE)[1][7:] == pytest.approx(displaced)
    atoms.info[FORCE_SIGMA] = 0.5
    assert targets_of(atoms, FIT, ALONE)[1][7:] == pytest.approx(2.0)
    del atoms.info[STRESS], atoms.info[ENERGY]
    assert not targets_of(atoms, FIT, ALONE)[1][:7].any()


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> tuple[dict, np.ndarray]:
    """Noisy equations of ten features in four batches, and the coefficients behind them."""
    random = np.random.default_rng(2)
    truth = random.normal(size=10)
    x = random.normal(size=(60, 10)) * np.geomspace(1, 1e3, 10)
    y = x @ (truth / np.geomspace(1, 1e3, 10)) + 0.01 * random.normal(size=60)
    found = {"x": x, "y": y}

    def equations(params, data, count):
        yield from zip(np.split(data["x"], 4), np.split(data["y"], 4), strict=True)

    monkeypatch.setattr(program, "equations", equations)
    return found, truth


EXPONENTS = [-8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0]


def test_both_forms_of_the_normal_equations_agree(linear) -> None:
    data, truth = linear
    first, scales, tried = program.by_features(None, data, 10, EXPONENTS)
    second, _, again = program.by_equations(None, data, 10, EXPONENTS)
    assert first == pytest.approx(second, rel=1e-5)
    for one, other in zip(tried, again, strict=True):
        assert one["evidence"] == pytest.approx(other["evidence"], rel=1e-5)
    assert first / scales * np.geomspace(1, 1e3, 10) == pytest.approx(truth, abs=0.01)


def test_the_evidence_finds_the_noise_and_refuses_what_is_too_strong(linear) -> None:
    _, _, tried = program.by_features(None, linear[0], 10, EXPONENTS)
    best = max(tried, key=lambda one: one["evidence"])
    assert best["noise"] == pytest.approx(0.01, rel=0.3)
    assert best["exponent"] < 0
    # by brute force: y is a Gaussian of covariance noise² (1 + X X' / alpha)
    x, y = linear[0]["x"] / np.linalg.norm(linear[0]["x"], axis=0), linear[0]["y"]
    for one in tried[3:]:
        covariance = one["noise"] ** 2 * (np.eye(60) + x @ x.T / 10 ** one["exponent"])
        _, volume = np.linalg.slogdet(covariance)
        brute = -0.5 * (volume + y @ np.linalg.solve(covariance, y))
        assert one["evidence"] == pytest.approx(brute + 30, rel=1e-6)  # the constant of 60 rows


def test_features_without_data_have_no_coefficient(linear) -> None:
    data, _ = linear
    data["x"][:, 3] = 0.0
    coefficients, scales, _ = program.by_features(None, data, 10, EXPONENTS)
    assert (coefficients / scales)[3] == 0.0
    assert np.isfinite(coefficients / scales).all()


def test_equations_come_in_batches_and_in_the_order_of_the_cells(monkeypatch) -> None:
    sizes = np.array([2, 3, 1])
    rows = int((7 + 3 * sizes).sum())
    asked = []

    def cells_of(params, data, begin, end):
        asked.append((begin, end))
        return list(range(begin, end))

    starts = np.cumsum([0, *(7 + 3 * sizes)])
    every = np.arange(rows, dtype=float)
    monkeypatch.setattr(program, "cells_of", cells_of)
    monkeypatch.setattr(
        program, "features", lambda _, cells: every[starts[cells[0]] : starts[cells[-1] + 1], None]
    )
    weights = np.full(rows, 2.0)
    weights[0] = 0.0
    data = {"atoms": sizes, "values": every, "weights": weights}
    for megabytes, wanted in ((1e-9, [(0, 1), (1, 2), (2, 3)]), (30 * 8e-6, [(0, 2), (2, 3)])):
        asked.clear()
        monkeypatch.setattr(program, "BATCH_MB", megabytes)
        found = list(program.equations(None, data, 1))
        assert asked == wanted
        x, y = (np.concatenate(some) for some in zip(*found, strict=True))
        assert x[:, 0] == pytest.approx(2 * every[1:])
        assert y == pytest.approx(2 * every[1:])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cutoff_angstrom": 1.0}, "must be larger than 1 Å"),
        ({"max_l": []}, "at least 1 item"),
        ({"model_type": 5}, "1, 2, 3 or 4"),
        ({"sigma": {"force": 1}}, "Extra inputs|unknown"),
    ],
)
def test_what_the_settings_refuse(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(Fit).validate_python({"kind": "polymlp", **settings})


def test_a_machine_without_compiler_or_eigen_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phonsmith.potentials import compilers

    monkeypatch.chdir(tmp_path)  # without the environment
    for variable in ("CXX", "CMAKE_PREFIX_PATH", "Eigen3_DIR", "Eigen3_ROOT", "EIGEN3_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compilers, "_SYSTEM", ())
    with pytest.raises(PhonsmithError) as caught:
        KINDS["polymlp"].check_files(FIT, "fits.mine", lambda file: False)
    words = str(caught.value)
    assert words.startswith(
        "fits.mine: environment 'polymlp' cannot be made: pypolymlp is compiled"
    )
    assert "no C++ compiler (c++) and " in words and "no Eigen3 library" in words
    assert "apt install g++ " in words and "libeigen3-dev" in words
    assert "\n" not in words
    # a compiler, and Eigen where CMAKE_PREFIX_PATH says
    (tmp_path / "c++").touch(mode=0o755)
    (tmp_path / "share/eigen3/cmake").mkdir(parents=True)
    (tmp_path / "share/eigen3/cmake/Eigen3Config.cmake").touch()
    assert "no Eigen3" in compilers.missing_tools(["Eigen3"])
    monkeypatch.setenv("CMAKE_PREFIX_PATH", str(tmp_path))
    assert "Eigen3" not in compilers.missing_tools(["Eigen3"])
    assert "compiler" not in compilers.missing_tools(["Eigen3"])


def test_the_pins_are_those_of_phonsmith(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they come with phonsmith
    found = environment("polymlp")
    assert (found.compiled, found.libraries) == (("pypolymlp",), ("Eigen3",))
    lock = (Path(__file__).parents[3] / "requirements.lock").read_text().split()
    for package in ("scipy", "numpy", "ase", "PyYAML"):
        (ours,) = [pin for pin in lock if pin.startswith(f"{package}==")]
        assert ours in found.pins


@pytest.mark.parametrize(
    "text", ["# ele Si\n", "elements: [Si]\ncoeffs: [1.0, 2", "elements: [Xx]\ncoeffs: [1.0]\n"]
)
def test_a_file_that_is_no_polymlp_is_refused_before_it_is_loaded(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "polymlp.yaml").write_text(text)
    source = PotentialSource(calculator="polymlp", model=str(tmp_path / "polymlp.yaml"))
    with pytest.raises(PhonsmithError, match="not a complete polymlp"):
        check_model(source)


# --- in the environment -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> PotentialSource:
    """A potential of Lennard-Jones rock salt from 40 cells of eight atoms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        require_environment("polymlp", repository)
        folder = tmp_path_factory.mktemp("polymlp")
        cells = [rock_salt(seed) for seed in range(40)]
        baseline = Baseline(ALONE, "isolated_atoms")
        record = fits.train(FIT, cells, baseline, folder, folder / "work", 1)
        assert record.counts.model_dump() == {"energies": 40, "forces": 960, "virials": 240}
        assert record.versions == {"pypolymlp": "0.22.1"}
        assert record.details["features"] == count_features(FIT, 2)
        yield PotentialSource(calculator="polymlp", model=str(folder / record.model))


@pytest.mark.slow
def test_it_learns_energies_forces_and_stresses(trained: PotentialSource) -> None:
    cells = [rock_salt(seed) for seed in range(50, 55)]
    found = evaluate(cells, trained)
    for atoms, one in zip(cells, found, strict=True):
        assert one.energy == pytest.approx(atoms.info[ENERGY], abs=8 * 1e-3)
        assert one.forces == pytest.approx(atoms.arrays[FORCES], abs=0.01)
        assert one.stress == pytest.approx(atoms.info[STRESS], abs=2e-4)
    alone = evaluate([Atoms("Na", cell=[15] * 3, pbc=True)], trained)[0]
    assert alone.energy == pytest.approx(ALONE["Na"])


@pytest.mark.slow
def test_forces_and_stress_are_derivatives_of_the_energy(trained: PotentialSource) -> None:
    atoms = rock_salt(3)
    atoms.calc = make_calculator(trained)
    numeric = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 5])
    assert atoms.get_forces()[[0, 5]] == pytest.approx(numeric, abs=1e-6)
    stress = calculate_numerical_stress(atoms, eps=1e-5)
    assert atoms.get_stress() == pytest.approx(stress, abs=1e-8)
    moved = atoms.copy()
    moved.positions += 2.3 * moved.cell[0]
    moved.calc = atoms.calc
    assert moved.get_potential_energy() == pytest.approx(atoms.get_potential_energy())


@pytest.mark.slow
def test_elements_that_it_has_not_seen_are_refused(trained: PotentialSource) -> None:
    with pytest.raises(PhonsmithError, match="does not support K"):
        evaluate([Atoms("K", cell=[9] * 3, pbc=True)], trained)


@pytest.mark.slow
def test_forces_alone_suffice(trained, silicon, displaced, tmp_path: Path) -> None:
    """Labels as in phonopy files: no energies, no stresses; the displaced cell is met best."""
    cells = [*without(silicon, ENERGY, STRESS), displaced]
    record = fits.train(FIT, cells, NO_ENERGY, tmp_path, tmp_path / "work", 1)
    assert record.counts.model_dump() == {"energies": 0, "forces": 16 * 24 + 192, "virials": 0}
    source = PotentialSource(calculator="polymlp", model=str(tmp_path / record.model))
    (found,) = evaluate([displaced], source)
    assert np.abs(found.forces - displaced.arrays[FORCES]).max() < 1e-3
    assert np.abs(displaced.arrays[FORCES]).max() > 0.1
