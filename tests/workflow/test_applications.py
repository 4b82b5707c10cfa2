"""Whole runs of applications: a tiny campaign with all of them, recorded data, the small ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.environments import share_environment
from tests.project import Project

SW = {"calculator": "stillinger-weber"}
EPSILON = 2.1683  # eV
LARGER = 2.5

ALL = {
    "structures": {
        "diamond": {"file": "config/structures/silicon/mp-149.vasp"},
        "hexagonal": {"file": "config/structures/silicon/mp-165.vasp"},
    },
    "reference": {"method": "calculator", "potential": SW},
    "relaxation": {"fmax_ev_per_angstrom": 1e-3},
    "supercells": {"kinds": ["displaced"], "min_length_angstrom": 7, "max_atoms": 64},
    "fits": {
        "larger": {
            "kind": "existing",
            "potential": {**SW, "arguments": {"epsilon": LARGER}},
        }
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["relaxed"]},
    "thermodynamics": {
        "max_temperature_kelvin": 500,
        "temperature_step_kelvin": 50,
        "mesh_length_angstrom": 15,
        "volumes": 5,
    },
    "transitions": {
        "stacking": {"driven_by": "temperature", "structures": ["diamond", "hexagonal"]}
    },
    "conductivity": {
        "structures": ["diamond"],
        "third_order": {
            **{"way": "fit", "pair_cutoff_angstrom": 4.0},
            **{"min_length_angstrom": 6.5, "min_atoms": 8, "max_atoms": 32},
        },
        "temperatures_kelvin": [300, 600],
        "mesh": [3, 3, 3],
        "directions": [[1, 1, 0]],
    },
    "figures": {"formats": ["svg"]},
}


def test_all_applications_in_one_campaign(tmp_path: Path, repository: Path) -> None:
    """The fit is the reference with another ε: energies and moduli scale with it, lengths stay."""
    project = Project(tmp_path, repository, tiny=ALL)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    ratio = LARGER / EPSILON

    states = pd.read_csv(results / "tables/equations_of_state.csv")
    states = states[(states.structure == "diamond") & (states.form == "vinet")].set_index("method")
    larger, reference = states.loc["larger/gen0"], states.loc["reference"]
    for column, power in (("volume_angstrom3_per_atom", 0), ("energy_ev_per_atom", 1)):
        assert larger[column] / reference[column] == pytest.approx(ratio**power, rel=1e-4)
    assert larger.bulk_modulus_gpa / reference.bulk_modulus_gpa == pytest.approx(ratio, rel=2e-3)

    # next neighbours alone: both crystals have one energy, what is left is vibrations
    found = pd.read_csv(results / "tables/transitions.csv")
    assert set(found.approximation) == {"harmonic", "quasi-harmonic"}
    assert set(found.method) == {"reference", "larger/gen0"}
    assert found.static_mev_per_atom.abs().max() < 0.1

    kappas = pd.read_csv(results / "tables/conductivity.csv")
    warm = kappas[kappas.temperature_kelvin == 300]
    mean = warm[warm.component == "mean"].set_index("method")["kappa_w_per_m_k"]
    # forces scale with ε, frequencies with its root: κ with the power 3/2 at high temperatures
    assert mean["larger/gen0"] / mean["reference"] == pytest.approx(ratio**1.5, rel=0.1)
    along_110 = warm[warm.component == "[110]"].set_index("method")["kappa_w_per_m_k"]
    assert along_110.to_dict() == pytest.approx(mean.to_dict(), rel=1e-6)
    errors = pd.read_csv(results / "tables/kappa_errors.csv").iloc[0]
    # both are equal if all modes err in one direction, but for rounding
    assert 0 < errors.kappa_sre <= errors.kappa_srme * (1 + 1e-9) < 0.5
    labels = pd.read_csv(results / "tables/third_order_labels.csv")
    assert (labels.labels < labels.labels_displacements).all()
    record = json.loads((results / "conductivity/reference/diamond/kappa0.json").read_text())
    assert record["mesh"] == [3, 3, 3]

    page = (results / "report.html").read_text()
    for words in ("thermal expansion of the volume", "Phase transitions", "conductivity in W/mK"):
        assert words in page
    assert project.planned() == {}

    # another crystal is no reason to compute the conductivity of this one again
    more = {"file": "config/structures/silicon/mp-168.vasp", "role": "benchmark"}
    planned = project.planned_with({"structures": {**ALL["structures"], "more": more}})
    assert planned["fit_phonons"] == 1
    assert not {"third_order_cells", "label_third_order", "conductivity"} & planned.keys()
    # another displacement is
    finer = {**ALL["supercells"], "displaced": {"distance_angstrom": 0.02}}
    planned = project.planned_with({"supercells": finer})
    assert planned["third_order_cells"] == 2


# --- recorded third-order data ------------------------------------------------------------------


@pytest.mark.slow
def test_recorded_third_order_data_as_the_reference(
    tmp_path: Path, repository: Path, shared_data: Path
) -> None:
    """The recorded cells are the reference's third order and the fit's data; nothing is labelled.

    On a coarse mesh κ is that of phono3py itself from the same file.
    """
    settings = committed(repository, "si-kappa-pbesol")
    settings["fits"] = {
        "gap": {
            "kind": "gap",
            "soap": {"n_sparse": 40, "n_max": 4, "l_max": 3, "sparse_from": "rattled"},
            "sigma": {"force_ev_per_angstrom": 1.0e-5},
        }
    }
    settings["phonons"] = {
        **{"cells": ["relaxed"], "mesh_length_angstrom": 15, "points_per_segment": 5}
    }
    settings["conductivity"] |= {"mesh": [3, 3, 3], "convergence": [], "solvers": ["rta"]}
    settings["conductivity"] |= {"temperatures_kelvin": [300], "isotopes": [False]}
    settings["figures"] = {"formats": ["svg"]}
    project = Project(tmp_path, repository, recorded=settings)
    run = project.run("results/recorded/tables/conductivity.csv")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.results("recorded") / "tables/conductivity.csv")
    mean = table[(table.component == "mean") & (table.temperature_kelvin == 300)]
    kappa = mean.set_index("method")["kappa_w_per_m_k"]
    assert kappa["reference"] == pytest.approx(by_phono3py(shared_data / "si-pbesol-fc3"), rel=0.01)
    # few sparse points: poor, but a crystal
    assert 0.05 < kappa["gap/gen0"] / kappa["reference"] < 3


def by_phono3py(folder: Path) -> float:
    """κ at 300 K in relaxation-time approximation on 3 x 3 x 3, without phonsmith."""
    import phono3py

    third = phono3py.load(
        folder / "phono3py_disp.yaml",
        forces_fc3_filename=folder / "FORCES_FC3",
        produce_fc=False,
        log_level=0,
    )
    third.produce_fc3()
    third.symmetrize_fc3()
    third.produce_fc2()
    third.symmetrize_fc2()
    third.mesh_numbers = [3, 3, 3]
    third.init_phph_interaction(
        average_degenerate_weights=True, symmetrize_tetrahedra=True, exclude_gamma_acoustic=True
    )
    third.run_thermal_conductivity(temperatures=[300])
    return float(third.thermal_conductivity.kappa.reshape(-1, 6)[0, :3].mean())


# --- committed small campaigns ------------------------------------------------------------------


def committed(repository: Path, name: str) -> dict[str, Any]:
    """The settings of a campaign of the repository."""
    return yaml.safe_load((repository / f"config/campaigns/{name}.yaml").read_text())


def run_small(tmp_path: Path, repository: Path, name: str, needs: str | None = None) -> Path:
    """The folder of results of a committed campaign that has run to its report."""
    project = Project(tmp_path, repository, **{name: committed(repository, name)})
    if needs is not None:
        share_environment(needs, repository, project.folder)
    run = project.run(f"results/{name}/report.html", timeout=3000)
    assert run.returncode == 0, run.stdout + run.stderr
    return project.results(name)


@pytest.mark.slow
def test_sn_small(tmp_path: Path, repository: Path) -> None:
    """SevenNet has β-Sn above α-Sn, as PBE (about 40 meV/atom), and GAPs learn it."""
    results = run_small(tmp_path, repository, "sn-small", needs="sevennet")
    table = pd.read_csv(results / "tables/transitions.csv")
    assert set(table.fit) == {"reference", "gap", "gap-r2", "gap-r3"}
    assert table.static_mev_per_atom.to_numpy() == pytest.approx(38.1, abs=1)
    # the paper: 475 and about 400 K by PBE, 450 K by its fine-tuned potential
    temperatures = table.set_index("fit").value
    reference = temperatures.pop("reference")
    assert reference == pytest.approx(611, abs=15)
    assert temperatures.to_numpy() == pytest.approx(reference, abs=5)
    assert (table.lower_above == "beta").all()


@pytest.mark.slow
def test_natl_small(tmp_path: Path, repository: Path) -> None:
    """CHGNet has the CsCl type lower at rest, the NaTl type under pressure: the wrong way round."""
    results = run_small(tmp_path, repository, "natl-small")
    table = pd.read_csv(results / "tables/transitions.csv")
    relaxed = table[(table.fit == "reference") & (table.approximation == "enthalpy")]
    pairs = relaxed.set_index(["first", "second"])
    assert set(table["second"]) | set(table["first"].dropna()) == {"natl", "cscl", "nacl", "zns"}
    row = pairs.loc[("natl", "cscl")]
    assert row["static_mev_per_atom"] == pytest.approx(-6.2, abs=2)
    assert row["value"] == pytest.approx(4.2, abs=1)
    assert row["lower_above"] == "natl"


@pytest.mark.slow
def test_si_pressure(tmp_path: Path, repository: Path) -> None:
    """SevenNet is in PBE's range of 8 to 11 GPa; Stillinger–Weber has more."""
    results = run_small(tmp_path, repository, "si-pressure", needs="sevennet")
    table = pd.read_csv(results / "tables/transitions.csv")
    for approximation in ("enthalpy", "equation-of-state"):
        found = table[table.approximation == approximation].set_index("fit").value
        assert found["reference"] == pytest.approx(9.8, abs=0.5)
        assert found["stillinger-weber"] == pytest.approx(18.1, abs=0.5)
    # at 300 K by Stillinger–Weber, below the pressures where modes become imaginary
    warm = table[(table.temperature_kelvin == 300) & (table.fit == "stillinger-weber")]
    assert "diamond is lower" in warm.answer.item()
    gibbs = table[(table.temperature_kelvin == 300) & (table.fit == "reference")]
    assert gibbs.value.item() == pytest.approx(8.6, abs=0.5)
    # thermal expansion of diamond at 300 K: 7.7e-6/K measured for the volume
    heat = pd.read_csv(results / "tables/thermodynamics.csv")
    sw = heat[(heat.method == "stillinger-weber/gen0") & (heat.structure == "diamond")]
    row = sw[
        (sw.temperature_kelvin == 300) & (sw.pressure_gpa == 0)
    ].thermal_expansion_per_k.dropna()
    assert row.item() == pytest.approx(8e-6, abs=2e-6)


@pytest.mark.slow
def test_ga2o3_small(tmp_path: Path, repository: Path) -> None:
    """A monoclinic tensor by reference and GAP, the three directions, published values beside."""
    results = run_small(tmp_path, repository, "ga2o3-small", needs="sevennet")
    table = pd.read_csv(results / "tables/conductivity.csv")
    for method in ("reference", "gap/gen0"):
        rta = table[(table.method == method) & (table.solver == "rta")]
        values = rta.set_index("component")["kappa_w_per_m_k"]
        tensor = [[values["".join(sorted((a, b)))] for b in "xyz"] for a in "xyz"]
        assert (np.linalg.eigvalsh(tensor) > 0).all()
        for direction in ("[100]", "[010]", "[001]"):
            assert values[direction] > 0
    published = table[table.reason.astype(str).str.startswith("published: ")]
    assert published.kappa_w_per_m_k.tolist() == [9.5, 17.3, 16.9]
