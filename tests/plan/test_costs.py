"""Sizes and costs of calculations and fits against recorded runs."""

import gzip
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from ase.units import Bohr

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.sources import Places
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.labels.espresso.cost import ESPRESSO
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.vasp.cost import VASP, vasp_size
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.plan.costs import electronic_size, fit_cost, isolated_atom_size, seconds_per_atom
from phonsmith.running.costs import ElectronicSize, irreducible_kpoints, plane_waves
from phonsmith.supercells.making import make_supercells
from phonsmith.supercells.settings import Supercells
from tests.plan.examples import espresso
from tests.potcars import write_potcar


def displaced(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.positions[0] += [0, 0.01 / 2**0.5, 0.01 / 2**0.5]
    return atoms


def rattled(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.positions += np.random.default_rng(1).normal(scale=0.03, size=atoms.positions.shape)
    return atoms


@pytest.mark.parametrize(
    "atoms, mesh, printed",  # "number of k points" of pw.x 6.7
    [
        (bulk("Si", a=5.43), (8, 8, 8), 29),
        (displaced(bulk("Si", a=5.43)), (6, 6, 6), 68),
        (rattled(bulk("Si", a=5.43)), (6, 6, 6), 112),
        (rattled(bulk("Si", a=5.43).repeat((2, 1, 1))), (2, 4, 4), 20),
        (rattled(bulk("Si", cubic=True, a=5.43)), (3, 3, 3), 14),
        (displaced(bulk("Si", a=5.43).repeat(2)), (2, 2, 2), 6),
    ],
)
def test_irreducible_kpoints_are_those_of_pw_x(atoms, mesh, printed):
    assert irreducible_kpoints(atoms, mesh) == printed


def test_a_shifted_mesh_has_other_irreducible_kpoints():
    # two special points of the face-centred lattice: Chadi and Cohen, Phys. Rev. B 8, 5747 (1973)
    assert irreducible_kpoints(bulk("Si", a=5.43), (2, 2, 2), shifted=True) == 2


@pytest.mark.parametrize(
    "run, spacing",
    [
        ("default_xml_241015", 0.45),
        ("failed_out_of_walltime", 1.2),
        ("failed_scf_not_converged", 1.2),
    ],
)
def test_sizes_agree_with_recorded_runs_of_pw_x(run, spacing, shared_data, pseudopotentials):
    output = ET.parse(shared_data / "qe-outputs" / run / "data-file-schema.xml").getroot()
    structure = output.find("output/atomic_structure")
    lattice = [[float(x) for x in vector.text.split()] for vector in structure.find("cell")]
    places = [[float(x) for x in atom.text.split()] for atom in structure.iter("atom")]
    cell = Atoms(
        [atom.get("name")[:2] for atom in structure.iter("atom")],
        positions=np.array(places) * Bohr,
        cell=np.array(lattice) * Bohr,
        pbc=True,
    )
    cutoff = 2 * float(output.find("output/basis_set/ecutwfc").text)  # Hartree in the file
    size = electronic_size(
        cell,
        espresso(pseudopotentials, ecutwfc_ry=cutoff, kspacing_per_angstrom=spacing),
    )
    bands = output.find("output/band_structure")
    assert size.electrons == float(bands.find("nelec").text)
    points = list(bands.iter("ks_energies"))
    assert size.kpoints == len(points)
    waves = np.mean([int(point.find("npw").text) for point in points])
    assert size.plane_waves == pytest.approx(waves, rel=0.02)


def outcars(shared_data):
    return sorted((shared_data / "sn-alpha-vasp").glob("*mp-117*/outputs/OUTCAR.gz"))


def test_sizes_time_and_memory_agree_with_recorded_runs_of_vasp(shared_data):
    times = []
    for path in outcars(shared_data):
        with gzip.open(path, "rt", errors="replace") as stream:
            text = stream.read()

        def number(pattern, text=text):
            return float(re.search(pattern, text)[1])

        atoms = read(path.with_name("POSCAR.gz"), format="vasp")
        size = vasp_size(atoms, number(r"NELECT = +([\d.]+)"), 700, 0.1)
        cores = int(number(r"running on +(\d+) total"))
        assert size.kpoints == number(r"NKPTS = +(\d+)")
        assert size.bands == pytest.approx(number(r"NBANDS= +(\d+)"), rel=0.01)
        most = number(r"maximum number of plane-waves: +(\d+)")
        assert size.plane_waves == pytest.approx(most, rel=0.01)
        cost = VASP.run(size, cores)
        times.append(cost.core_seconds / (cores * number(r"Elapsed time \(sec\): +([\d.]+)")))
        used = cores * number(r"Maximum memory used \(kb\): +([\d.]+)") * 1024e-6
        assert cost.memory_mb == pytest.approx(used, rel=0.25)
    assert len(times) == 15
    assert min(times) > 0.8 and max(times) < 1.2


def test_vasp_takes_electrons_from_potcars_and_keys_of_the_structure(tmp_path, monkeypatch):
    from pymatgen.core import SETTINGS

    write_potcar(tmp_path, "Sn_d", valence=14.0)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    reference = VaspReference.model_validate(
        {
            "method": "vasp",
            "potcars": {"Sn": "Sn_d"},
            "functional": "PBE",
            "kspacing_per_angstrom": 0.1,
            "incar_by_structure": {"coarse": {"KSPACING": 0.2}},
        }
    )
    cell = bulk("Sn", "diamond", a=6.57, cubic=True)
    size = electronic_size(cell, reference)
    assert (size.electrons, size.kpoints) == (112, 504)  # as in the recorded relaxation
    assert electronic_size(cell, reference, "coarse").kpoints == 63
    assert isolated_atom_size("Sn", reference).kpoints == 1


def test_the_cost_of_pw_x_agrees_with_the_runs_it_was_fitted_to(repository):
    table = pd.read_csv(repository / "benchmarks/pw_cost.csv")
    assert len(table) >= 14
    assert table["atoms"].max() == 128
    for _, row in table.iterrows():
        size = ElectronicSize(
            *(row.atoms, row.electrons, row.kpoints, row.plane_waves, row.bands, row.density_waves)
        )
        cost = ESPRESSO.run(size)
        assert 0.7 < cost.core_seconds / row.cpu_s < 1.35, row.cell
        assert 0.8 < cost.memory_mb / row.memory_mb < 1.2, row.cell
        box = Atoms(cell=[row.volume_angstrom3 ** (1 / 3)] * 3)
        assert plane_waves(box, row.ecutwfc_ry) == pytest.approx(row.plane_waves, rel=0.015)
        assert plane_waves(box, row.ecutrho_ry) == pytest.approx(row.density_waves, rel=0.015)


def test_bands_and_gamma_as_in_pw_x(pseudopotentials, repository):
    table = pd.read_csv(repository / "benchmarks/pw_cost.csv").set_index("cell")
    cell = rattled(bulk("Si", cubic=True, a=5.43))
    size = electronic_size(cell, espresso(pseudopotentials, kspacing_per_angstrom=0.6))
    row = table.loc["Si8 rattled, smearing"]
    assert (size.kpoints, size.bands, size.electrons) == (row.kpoints, row.bands, row.electrons)
    fixed = espresso(pseudopotentials, kspacing_per_angstrom=0.6, occupations="fixed")
    assert electronic_size(cell, fixed).bands == table.loc["Si8 rattled"].bands
    # wavefunctions at Γ alone are real: half of the plane waves
    alone = electronic_size(cell, espresso(pseudopotentials, kspacing_per_angstrom=2.0))
    assert alone.kpoints == 1
    assert alone.plane_waves == pytest.approx(size.plane_waves / 2)
    # the order of elements, and oxygen's six electrons
    assert electronic_size(Atoms("OSi", cell=[4] * 3, pbc=True), fixed).electrons == 10


def test_the_cost_of_a_gap_agrees_with_a_real_one(shared_data, repository, monkeypatch):
    """si-extend's fit on its database: 6380 MB at the peak, 247 s of computing (324 s of wall)."""
    monkeypatch.chdir(repository)
    campaign = load_campaign("config/campaigns/si-extend.yaml")
    database = campaign.datasets.databases["mlearn"]
    cells = load_database("mlearn", database, Places([shared_data], "nowhere"))["train"].frames
    assert sum(len(cell) for cell in cells) == 13233
    fit = campaign.fits["gap-database"].model_copy(update={"fitter": "gap_fit"})
    cost = fit_cost(fit, cells, stresses=True)
    assert cost.memory_mb == pytest.approx(6380, rel=0.15)
    assert 200 < cost.core_seconds < 400
    # without virials gap_fit keeps a third of the gradients
    assert fit_cost(fit, cells, stresses=False).memory_mb < 2500
    ours = fit_cost(campaign.fits["gap-database"], cells, stresses=True)
    assert ours.memory_mb < 2500
    assert ours.core_seconds < cost.core_seconds / 3


def test_the_cost_of_a_mace_grows_as_it_should():
    cells = [bulk("Si", cubic=True, a=5.43).repeat(2)] * 25
    small = MaceFit.model_validate({"kind": "mace", "max_epochs": 1})
    each = fit_cost(small, cells, True).core_seconds
    # measured: 6 s an epoch on two cores, which were busy half of the time
    assert 6 < each - fit_cost(small, [], True).core_seconds < 12
    large = small.model_copy(update={"num_channels": 64, "max_l": 1})
    assert 4 < seconds_per_atom(large, cells) / seconds_per_atom(small, cells) < 8


@pytest.mark.parametrize(("symbols", "a"), [("Si", 5.43), ("MgO", 4.21), ("LiF", 4.03)])
def test_the_default_fit_is_within_a_laptop_of_16_gb(symbols, a):
    """With default cells; less than an hour, and within the default resources of its job."""
    crystal = bulk(symbols, "diamond" if symbols == "Si" else "rocksalt", a=a)
    cells = make_supercells(symbols, crystal, Supercells(), 1, 0).cells
    fit = GapFit(kind="gap")
    cost = fit_cost(fit, cells, stresses=True)
    assert cost.memory_mb < fit.resources.memory_mb <= 0.75 * 16_000
    assert cost.core_seconds < 3600


def test_a_gap_of_two_elements_has_more_dimensions():
    fit = GapFit.model_validate({"kind": "gap"})
    one, two = [bulk("Si", cubic=True)], [bulk("NaCl", "rocksalt", a=5.6, cubic=True)]
    assert seconds_per_atom(fit, two) > 3 * seconds_per_atom(fit, one)
