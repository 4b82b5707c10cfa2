"""Numbers in other units than the key's are refused with the unit; sound ones are accepted."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from tests.check.bad_files import changed

VASP = {"method": "vasp", "potcars": {"Si": "Si"}}
QE = {
    "method": "espresso",
    "ecutwfc_ry": 30,
    "pseudopotentials": {"folder": "UPF", "files": {"Si": "Si.upf"}},
}
SW = "stillinger-weber"
GOAL = {"rmse_thz": 0.1, "max_force_rmse_ev_per_angstrom": 0.1}


def goal(**criteria: Any) -> tuple[str, Any]:
    return "loop", {"goal": {**GOAL, **criteria}}


def data(**files: Any) -> tuple[str, Any]:
    source = {"name": "x", "folder": "d"}
    return "datasets/databases/d", {"source": source, "level_of_theory": SW, **files}


def kappa(**criterion: Any) -> tuple[str, Any]:
    asked = {"of": "conductivity", "structure": "si", "temperature_kelvin": 300}
    return goal(properties={"k": {**asked, "within_percent": 3, **criterion}})


def run(kind: str, **settings: Any) -> tuple[str, Any]:
    protocol = {"kind": kind, "start": {"structure": "si"}, **settings}
    return "distillation", {"md": {"protocol": protocol}}


# what was meant in another unit: key, found, and the conversion in the message
WRONG: list[tuple[tuple[str, Any], list[str]]] = [
    (goal(rmse_thz=4), ["loop.goal.rmse_thz", "equal to 3 (found 4)", "33.4 cm⁻¹"]),
    (goal(structures_percent=0.9), ["structures_percent", "found 0.9", "a fraction of 0.01"]),
    (goal(structures_percent=1), ["structures_percent", "greater than 1"]),
    (goal(max_volume_error_percent=0.01), ["max_volume_error_percent", "fraction"]),
    (goal(max_force_rmse_ev_per_angstrom=50), ["max_force_rmse_ev_per_angstrom", "1000 meV/Å"]),
    (kappa(within_percent=0.03), ["goal.properties.k.within_percent", "fraction"]),
    (kappa(uncertainty_percent=0.03), ["goal.properties.k.uncertainty_percent", "fraction"]),
    (("benchmarks/imaginary_tolerance_thz", 10), ["imaginary_tolerance_thz", "cm⁻¹"]),
    (("relaxation/fmax_ev_per_angstrom", 1), ["fmax_ev_per_angstrom", "meV/Å"]),
    (("supercells/min_length_angstrom", 1.2), ["min_length_angstrom", "nm"]),
    (("supercells/grid", 4), ["supercells.grid", "[4, 4, 4]", "4.0"]),
    (("conductivity", {"mesh": 19}), ["conductivity.mesh", "[11, 11, 11]", "19.0"]),
    (("conductivity", {"convergence": [19]}), ["conductivity.convergence.0", "[11, 11, 11]"]),
    (("conductivity", {"boundary_micrometre": 1e-6}), ["boundary_micrometre", "1000 nm"]),
    (("phonons/mesh_length_angstrom", 6), ["mesh_length_angstrom", "nm"]),
    (("fits/gap/soap/cutoff_angstrom", 0.5), ["soap.cutoff_angstrom", "0.1 nm"]),
    (("fits/gap/sigma", {"force_ev_per_angstrom": 3}), ["force_ev_per_angstrom", "meV/Å"]),
    (("fits/gap/sigma", {"energy_ev_per_atom": 5}), ["energy_ev_per_atom", "meV"]),
    (("thermodynamics", {"first_volumes_percent": [-0.04, 0.06]}), ["too narrow", "[-4, 6]"]),
    (("thermodynamics", {"largest_volume_change_percent": 0.2}), ["percent", "fraction"]),
    (("thermodynamics", {"pressures_gpa": [1e9]}), ["pressures_gpa.0", "kbar"]),
    (run("thermal", temperature_kelvin=-20), ["temperature_kelvin", "273.15 K"]),
    (run("thermal", temperature_kelvin=0.025), ["temperature_kelvin", "273.15 K"]),
    (run("thermal", timestep_fs=0.001), ["timestep_fs", "0.001 ps"]),
    (run("thermal", thermostat_fs=0.1), ["thermostat_fs", "0.001 ps"]),
    (run("compression", pressure_gpa=[0, 2e10]), ["pressure_gpa", "kbar"]),
    (run("melt-quench", quench_rate_kelvin_per_s=10), ["quench_rate", "1 K/ps is 1e12 K/s"]),
    (run("melt-quench", min_distance_angstrom=0.2), ["min_distance_angstrom", "nm"]),
    (("reference", {**VASP, "kspacing_per_angstrom": 0.03}), ["kspacing", "2π"]),
    (("reference", {**VASP, "isolated_atom_edges_angstrom": [1.4, 1.5, 1.6]}), ["edges", "nm"]),
    (("reference", {**QE, "degauss_ry": 0.5}), ["degauss_ry", "13.6 eV"]),
    (("fits/gap/resources", {"memory_mb": 64}), ["resources.memory_mb", "1 GB is 1000 MB"]),
    (("reference", {**VASP, "memory_mb": 128}), ["reference.memory_mb", "1 GB is 1000 MB"]),
    (("reference", {**VASP, "time_limit_minutes": 86400}), ["1 hour is 60 minutes"]),
    (("structures/si/masses", {"Si": 4.7e-26}), ["structures.si.masses", "in u"]),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[one[1][0] for one in WRONG])
def test_another_unit_is_refused(tmp_path: Path, change: tuple[str, Any], words: list[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(changed(change)))
    with pytest.raises(PhonsmithError) as caught:
        load_campaign(path)
    assert any(all(word in line for word in words) for line in str(caught.value).splitlines()), str(
        caught.value
    )


# extreme, but sound
SOUND: list[tuple[str, Any]] = [
    goal(rmse_thz=0.9, max_volume_error_percent=0.1, structures_percent=5),
    ("conductivity", {"mesh": 60, "convergence": [[9, 9, 9], 20.0], "temperatures_kelvin": [2]}),
    ("supercells", {"grid": 12}),
    ("supercells", {"grid": 8.0}),
    run("thermal", temperature_kelvin=10_000, pressure_gpa=600, timestep_fs=0.1),
    run("melt-quench", quench_rate_kelvin_per_s=1e11),
    ("thermodynamics", {"first_volumes_percent": [-0.5, 0.5], "pressures_gpa": [-5, 400]}),
    ("reference", {**VASP, "kspacing_per_angstrom": 0.06, "sigma_ev": 1.0}),
    ("structures/si/masses", {"Si": 29.97}),
]


@pytest.mark.parametrize("change", SOUND)
def test_extreme_numbers_are_accepted(change: tuple[str, Any]) -> None:
    Campaign.model_validate(changed(change))


# words and lists that would be passed over, or change nothing
PASSED_OVER: list[tuple[tuple[str, Any], list[str]]] = [
    (
        ("reference", {**VASP, "hubbard": {"fe": {"orbital": "d", "u_ev": 4}}}),
        ["reference.hubbard.fe", "not the symbol of an element; did you mean 'Fe'?"],
    ),
    (
        ("reference", {**VASP, "magnetism": True, "magmom": {"Fe3+": 5}}),
        ["reference.magmom.Fe3+", "did you mean 'Fe'?"],
    ),
    (
        ("reference", {**QE, "magnetism": True, "starting_magnetization": {"NI": 0.5}}),
        ["starting_magnetization.NI", "did you mean 'Ni'?"],
    ),
    (("conductivity", {"mesh": "11"}), ["conductivity.mesh", "a text", "[11, 11, 11]"]),
    (data(train_files=["a", "a"]), ["databases.d.train_files", "twice"]),
    (data(train_files=["a"], test_files=["./a"]), ["test_files.0", "write the path as 'a'"]),
    (data(train_files=["a/b"], test_files=["a"]), ["databases.d: 'a/b' is in both"]),
    (("disorder/runs/r/protocol", {"kind": "thermal", "start": {"structure": "ge"}}), ["'ge'"]),
    (("conductivity", {"third_order": {"random_cells": 5}}), ["random_cells", "way: fit"]),
    (("conductivity", {"jackknife_groups": 5}), ["jackknife_groups", "way: fit"]),
    (("conductivity", {"structures": ["si", "si"]}), ["conductivity.structures", "twice"]),
    (("thermodynamics", {"structures": ["si", "si"]}), ["thermodynamics.structures", "twice"]),
    (("figures", {"formats": ["png", "png"]}), ["figures.formats", "twice"]),
    (run("melt-quench", melt_kelvin=200), ["melt_kelvin", "below first_kelvin"]),
    (("loop", {"goal": GOAL, "selection": {"amplitude_factors": [50]}}), ["factors.0", "10"]),
    (("datasets", {"max_force_ev_per_angstrom": 0.01}), ["max_force_ev_per_angstrom", "meV/Å"]),
    (
        ("fits/p", {"kind": "polymlp", "regularisation_exponents": [8]}),
        ["regularisation_exponents.0", "equal to 3"],
    ),
]


@pytest.mark.parametrize(("change", "words"), PASSED_OVER, ids=[one[1][0] for one in PASSED_OVER])
def test_what_would_be_passed_over_is_refused(
    tmp_path: Path, change: tuple[str, Any], words: list[str]
) -> None:
    test_another_unit_is_refused(tmp_path, change, words)
