"""Recorded energies and phonons at several volumes, as others publish quasi-harmonic data."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
import yaml
from ase.build import bulk
from ase.io import write
from phonopy.file_IO import write_FORCE_SETS
from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import Places
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.phonons.files import save_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Structure
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.settings import Displaced
from phonsmith.thermodynamics.free_energies import odd_mesh, thermodynamics
from phonsmith.thermodynamics.recorded_volumes import _longitudinal_moduli, read_volumes
from phonsmith.thermodynamics.results import Result
from phonsmith.thermodynamics.settings import Thermodynamics
from tests.project import Project

SW = PotentialSource(calculator="stillinger-weber")
FACTORS = (1.04, 0.96, 0.98, 1.0, 1.02, 1.06)  # no order is assumed
THERMAL = {"max_temperature_kelvin": 300, "temperature_step_kelvin": 20, "mesh_length_angstrom": 15}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as others publish it: conventional cells of Stillinger–Weber silicon."""
    folder = tmp_path_factory.mktemp("published")
    lines = ["# volume (A^3)  energy (eV) of the conventional cell"]
    for number, factor in enumerate(FACTORS):
        cell = bulk("Si", cubic=True, a=5.431 * factor ** (1 / 3))
        (folder / f"v{number}").mkdir()
        write(folder / f"v{number}/POSCAR", cell, direct=True)
        phonon = potential_phonons(cell, 2 * np.eye(3, dtype=int), Displaced(), SW)
        save_phonons(folder / f"v{number}/phonopy.yaml", phonon)
        write_FORCE_SETS(phonon.dataset, folder / f"v{number}/FORCE_SETS")
        lines.append(f"{cell.get_volume():.3f}  {evaluate([cell], SW)[0].energy:.8f}")
    (folder / "e-v.dat").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    return folder


def energies(folder: Path) -> list[float]:
    """In the order of the folders."""
    return np.loadtxt(folder / "e-v.dat")[::-1, 1].tolist()


def reference(folder: Path, format: str) -> dict:
    return {
        "method": "recorded",
        "level_of_theory": "SW",
        "format": format,
        "source": {"name": "published", "folder": str(folder)},
    }


def of_phonopy(folder: Path) -> dict:
    """A phonopy YAML at each volume, energies beside it."""
    return {
        "recorded": "v3/phonopy.yaml",
        "recorded_volumes": [
            {
                "recorded": f"v{number}/phonopy.yaml",
                "energy_ev": energy,
                "volume_angstrom3": round(5.431**3 * FACTORS[number], 2),
            }
            for number, energy in enumerate(energies(folder))
        ],
    }


def of_force_sets(folder: Path) -> dict:
    """POSCAR, FORCE_SETS and DIM, energies in e-v.dat."""
    return {
        "file": str(folder / "v3/POSCAR"),
        "recorded": "v3/FORCE_SETS",
        "recorded_supercell": [2, 2, 2],
        "recorded_energies": "e-v.dat",
        "recorded_volumes": [
            {"recorded": f"v{number}/FORCE_SETS", "file": str(folder / f"v{number}/POSCAR")}
            for number in range(len(FACTORS))
        ],
    }


FORMATS = {"phonopy": of_phonopy, "force_sets": of_force_sets}


def read(folder: Path, format: str, **changes: object):
    structure = {**FORMATS[format](folder), **changes}
    settings = RecordedReference.model_validate(reference(folder, format))
    return read_volumes("si", Structure.model_validate(structure), settings, Places(cache="cache"))


def by_phonopy(folder: Path) -> Any:
    """The same from the files, without any of our readers."""
    phonons = [
        phonopy.load(folder / f"v{number}/phonopy.yaml", primitive_matrix="auto", log_level=0)
        for number in np.argsort(FACTORS)
    ]
    settings = Thermodynamics(**THERMAL)
    return phonopy.run_qha(
        phonons,
        np.arange(0, 321, 20),
        np.array(energies(folder))[np.argsort(FACTORS)] / 4,
        mesh=odd_mesh(phonons[2], settings.mesh_length_angstrom),
        eos="vinet",
        exclude_gamma_acoustic=True,
    )


@pytest.mark.parametrize("format", FORMATS)
def test_recorded_volumes_give_what_phonopy_gives(published: Path, format: str) -> None:
    crystal = read(published, format)
    assert np.all(np.diff(crystal.volumes) > 0)
    found = thermodynamics(
        crystal, Thermodynamics(**THERMAL), method="reference", tolerance_thz=0.1
    )
    (ours,) = found.quasi_harmonic
    truth = by_phonopy(published)
    for name, mine in {
        "thermal_expansion": ours.thermal_expansion_per_k,
        "equilibrium_volumes": np.array(ours.volume_angstrom3_per_atom) * 2,
    }.items():
        assert np.allclose(mine, getattr(truth, name)[: len(mine)], rtol=1e-3, atol=1e-11), name
    assert found.equation_of_state("birch-murnaghan").bulk_modulus_gpa == pytest.approx(
        101.4, abs=0.5
    )


@pytest.mark.slow
def test_a_campaign_of_recorded_volumes_has_thermodynamics_of_the_reference(
    published: Path, repository: Path, tmp_path: Path
) -> None:
    campaign = {
        "reference": reference(published, "force_sets"),
        "structures": {
            "si": {**of_force_sets(published), "role": "benchmark"},
            "other": {**of_force_sets(published), "role": "benchmark"},
        },
        "thermodynamics": THERMAL,
    }
    for key in ("recorded_volumes", "recorded_energies"):
        del campaign["structures"]["other"][key]
    project = Project(tmp_path, repository, tiny=campaign)
    target = "results/tiny/tables/thermodynamics.csv"
    run = project.run(target)
    assert run.returncode == 0, run.stderr
    results = project.results("tiny")
    found = Result.load(results / "thermodynamics/reference/si.json")
    (ours,) = found.quasi_harmonic
    truth = by_phonopy(published).equilibrium_volumes
    assert np.allclose(ours.volume_angstrom3_per_atom, truth[: len(ours.temperature_kelvin)] / 2)
    without = Result.load(results / "thermodynamics/reference/other.json")
    assert "gives no recorded_volumes" in without.reason
    record = json.loads((results / "sources/volumes/si.json").read_text())
    assert len(record) == len(FACTORS) + 1
    # the volumes are of no concern to labels and phonons
    fewer = yaml.safe_load(yaml.safe_dump(campaign["structures"]))
    del fewer["si"]["recorded_volumes"][0]
    planned = project.planned_with({"structures": fewer}, target)
    assert planned == {"fetch_volumes": 1, "thermodynamics": 1, "thermodynamics_tables": 1}


def changed(folder: Path, change) -> list[dict]:
    """The volumes with other energies."""
    volumes = of_phonopy(folder)["recorded_volumes"]
    return [one | change(number, one) for number, one in enumerate(volumes)]


def test_energies_of_other_volumes_are_refused(published: Path) -> None:
    permuted = list(reversed(energies(published)))
    volumes = changed(published, lambda number, _: {"energy_ev": permuted[number]})
    with pytest.raises(PhonsmithError, match="more than one minimum"):
        read(published, "phonopy", recorded_volumes=volumes)
    # another zero of the energy is no fault
    volumes = changed(published, lambda _, one: {"energy_ev": one["energy_ev"] + 100})
    crystal = read(published, "phonopy", recorded_volumes=volumes)
    assert min(crystal.energies_ev) == pytest.approx(min(energies(published)) + 100)


def test_energies_of_other_cells_are_refused(published: Path, tmp_path: Path) -> None:
    of_primitive = changed(
        published,
        lambda _, one: {key: one[key] / 4 for key in ("energy_ev", "volume_angstrom3")},
    )
    with pytest.raises(PhonsmithError, match=r"recorded_volumes: .*to a cell 4 times smaller"):
        read(published, "phonopy", recorded_volumes=of_primitive)
    # energies of the displaced cells tell it, too, if there are any
    with_energies = tmp_path / "with"
    shutil.copytree(published, with_energies)
    for number in range(len(FACTORS)):
        path = with_energies / f"v{number}/phonopy.yaml"
        phonon = phonopy.load(path, primitive_matrix="auto", log_level=0)
        (cell,) = map(to_ase, phonon.supercells_with_displacements)
        phonon.supercell_energies = [evaluate([cell], SW)[0].energy]
        save_phonons(path, phonon)
    assert min(read(with_energies, "phonopy").energies_ev) == min(energies(published))
    volumes = changed(published, lambda _, one: {"energy_ev": one["energy_ev"] / 4})
    with pytest.raises(PhonsmithError, match="differ from those of the displaced cells"):
        read(with_energies, "phonopy", recorded_volumes=volumes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table / 4, "to a cell 4 times smaller"),
        (lambda table: table * 2, "to a cell 2 times larger"),
        (lambda table: table[1:], "no energy at the volume 169.8"),
        (lambda table: table * [1, np.nan], "non-finite"),
        (lambda table: table[:, :1], r"e-v\.dat: cannot be read"),
    ],
)
def test_tables_of_energies_that_do_not_fit_are_refused(
    published: Path, tmp_path: Path, change, words: str
) -> None:
    table = np.loadtxt(published / "e-v.dat")
    folder = tmp_path / "with"
    shutil.copytree(published, folder)
    np.savetxt(folder / "e-v.dat", change(table))
    structure = of_force_sets(published)
    with pytest.raises(PhonsmithError, match=words):
        settings = RecordedReference.model_validate(reference(folder, "force_sets"))
        read_volumes("si", Structure.model_validate(structure), settings, Places(cache="cache"))


def test_sound_gives_longitudinal_moduli() -> None:
    """Elastic constants of Stillinger–Weber silicon: 151.4, 76.4 and 56.4 GPa."""
    cell = bulk("Si", cubic=True, a=5.431)
    phonon = potential_phonons(cell, 2 * np.eye(3, dtype=int), Displaced(), SW)
    c11, c12, c44 = 151.4, 76.4, 56.4
    known = [c11, (c11 + c12) / 2 + c44, (c11 + 2 * c12 + 4 * c44) / 3]
    moduli = sorted(set(_longitudinal_moduli(phonon).round(1)))
    assert moduli == pytest.approx(known, rel=0.01)


@pytest.mark.parametrize("factor", [1 / 13.6057, 1 / 27.2114, 1 / 8, 96.485, 23.06])
def test_energies_in_other_units_or_per_atom_are_refused(published: Path, factor: float) -> None:
    volumes = changed(published, lambda _, one: {"energy_ev": one["energy_ev"] * factor})
    with pytest.raises(PhonsmithError, match=r"bulk modulus of .* longitudinal moduli of 1\d\d to"):
        read(published, "phonopy", recorded_volumes=volumes)


def test_a_volume_is_given_once(published: Path) -> None:
    volumes = of_phonopy(published)["recorded_volumes"]
    with pytest.raises(PhonsmithError, match="twice"):
        read(published, "phonopy", recorded_volumes=[*volumes, volumes[0]])


def without_energy(structure: dict) -> None:
    for key in ("energy_ev", "volume_angstrom3"):
        del structure["recorded_volumes"][1][key]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda one: one["recorded_volumes"].pop(), "at least 5 are required"),
        (lambda one: one["recorded_volumes"][1].pop("energy_ev"), "give both energy_ev"),
        (without_energy, r"recorded_volumes\.1"),
        (lambda one: one.update(recorded_energies="e-v.dat"), "without energy_ev"),
        (lambda one: one["recorded_volumes"][0].update(file="POSCAR"), "contain the crystal"),
        (lambda one: one["recorded_volumes"][0].update(recorded="v9"), "'v9' is not in"),
    ],
)
def test_settings_of_volumes_are_checked(published: Path, changes, words: str) -> None:
    structure = of_phonopy(published)
    del structure["recorded_volumes"][5]
    changes(structure)
    stated = reference(published, "phonopy")
    stated["source"]["files"] = {f"v{number}/phonopy.yaml": "0" * 64 for number in range(6)}
    with pytest.raises(ValidationError, match=words):
        Campaign.model_validate(
            {"reference": stated, "structures": {"si": structure}, "thermodynamics": {}}
        )


def test_volumes_without_thermodynamics_are_told(published: Path) -> None:
    campaign = {
        "reference": reference(published, "phonopy"),
        "structures": {"si": of_phonopy(published)},
        "fits": {"gap": {"kind": "gap"}},
    }
    with pytest.raises(ValidationError, match="used by `thermodynamics` only"):
        Campaign.model_validate(campaign)
