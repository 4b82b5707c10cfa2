"""The plan: sizes and costs against recorded runs, what is done, limits, and `snakemake plan`."""

import gzip
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from ase.units import Bohr

from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.conductivity.settings import ThirdOrder
from phonsmith.conductivity.third_order import cells_to_come as third_order_cells_to_come
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.labels.espresso.cost import ESPRESSO
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.factory import reference_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.labels.vasp.cost import VASP, vasp_size
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.plan.cells import Request, cells_to_come
from phonsmith.plan.costs import electronic_size, fit_cost, isolated_atom_size, seconds_per_atom
from phonsmith.plan.gathering import finished_labels
from phonsmith.plan.inputs import Cells, Site, ThirdOrderCells, made
from phonsmith.plan.job_resources import need_of_labels
from phonsmith.plan.limits import volumes_not_learnt
from phonsmith.plan.planner import make_plan
from phonsmith.plan.text import WIDTH, duration, to_markdown
from phonsmith.running.costs import ElectronicSize, irreducible_kpoints, plane_waves
from phonsmith.structures.reading import read_structure
from phonsmith.supercells.cells import make_supercells
from phonsmith.supercells.settings import Supercells
from tests.campaigns import TINY
from tests.potcars import write_potcar
from tests.project import Project

UPF = """<UPF version="2.0.1">
<PP_HEADER element="{element}" pseudo_type="USPP" functional="PBESOL" z_valence="{valence}"
 wfc_cutoff="30" rho_cutoff="240"/>
</UPF>
"""


@pytest.fixture
def pseudopotentials(tmp_path):
    """Headers of UPF files, which is all that a plan reads."""
    for element, valence in (("Si", 4.0), ("O", 6.0)):
        (tmp_path / f"{element}.UPF").write_text(UPF.format(element=element, valence=valence))
    return tmp_path


def espresso(folder, **settings) -> EspressoReference:
    files = {element: f"{element}.UPF" for element in ("Si", "O")}
    content = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(folder), "files": files},
        "ecutwfc_ry": 30,
    }
    return EspressoReference.model_validate(content | settings)


# --- sizes, against what the codes printed -----------------------------------------------------


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


# --- costs, against measured ones -----------------------------------------------------------------


def test_the_cost_of_pw_x_agrees_with_the_runs_it_was_fitted_to(repository):
    table = pd.read_csv(repository / "benchmarks/pw_cost.csv")
    assert len(table) >= 12
    for _, row in table.iterrows():
        size = ElectronicSize(
            *(row.atoms, row.electrons, row.kpoints, row.plane_waves, row.bands, row.density_waves)
        )
        cost = ESPRESSO.run(size)
        assert 0.7 < cost.core_seconds / row.cpu_s < 1.3, row.cell
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
    cells = load_database("mlearn", database, [shared_data], "nowhere")["train"].frames
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
    _, cells = make_supercells(symbols, crystal, Supercells(), 1, 0)
    fit = GapFit(kind="gap")
    cost = fit_cost(fit, cells, stresses=True)
    assert cost.memory_mb < fit.resources.memory_mb <= 0.75 * 16_000
    assert cost.core_seconds < 3600


def test_a_gap_of_two_elements_has_more_dimensions():
    fit = GapFit.model_validate({"kind": "gap"})
    one, two = [bulk("Si", cubic=True)], [bulk("NaCl", "rocksalt", a=5.6, cubic=True)]
    assert seconds_per_atom(fit, two) > 3 * seconds_per_atom(fit, one)


# --- the plan of a campaign -----------------------------------------------------------------------


def campaign_of(**changes) -> Campaign:
    return Campaign.model_validate({**TINY, **changes})


@pytest.fixture
def crystals(repository):
    folder = repository / "config/structures/silicon"
    return {name: read_structure(folder / f"{name}.vasp") for name in ("mp-149", "mp-165")}


def cells_of(campaign: Campaign, crystals, labelled=None, **about) -> dict[tuple[int, str], Cells]:
    found = {}
    for name, crystal in crystals.items():
        _, cells = make_supercells(name, crystal, campaign.supercells, campaign.seed, 0)
        labels = labelled(cells) if labelled else [None] * len(cells)
        found[0, name] = Cells(cells, labels, **about)
    return found


def test_a_plan_counts_cells_and_evaluations(crystals):
    campaign = campaign_of()
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals))
    table = plan.table()
    labels = table[table.stage == "label"].set_index(["structure", "kind"])
    # diamond has one displacement by symmetry, the hexagonal one two
    assert labels.runs.to_dict() == {
        ("mp-149", "displaced"): 1,
        ("mp-149", "rattled"): 5,
        ("mp-165", "displaced"): 2,
        ("mp-165", "rattled"): 5,
    }
    assert (labels.done == 0).all() and (labels.core_hours_left == labels.core_hours).all()
    phonons = table[(table.stage == "phonons") & (table.kind == "reference")]
    assert dict(zip(phonons.structure, phonons.runs, strict=False)) == {"mp-149": 1, "mp-165": 2}
    # one fit is trained: on all displaced cells and four of five rattled ones of each crystal
    sizes = {name: len(cells.cells[0]) for (_, name), cells in cells_of(campaign, crystals).items()}
    (fit,) = table[table.stage == "fit"].itertuples()
    assert fit.atoms == 5 * sizes["mp-149"] + 6 * sizes["mp-165"]
    assert plan.as_read == ["mp-149", "mp-165"]
    assert not plan.warnings


def test_what_is_done_is_not_left(crystals):
    campaign = campaign_of()
    cells = cells_of(campaign, crystals)
    done = {made("relaxation", "mp-149"), made("fit", 0, "gap")}
    done |= {made("phonons", 0, "gap", "relaxed", "mp-165")}
    table = make_plan("tiny", campaign, crystals, cells, done=done).table()
    finished = table[(table.done > 0) & (table.core_hours_left == 0)]
    assert {tuple(row) for row in finished[["stage", "fit", "structure", "kind"]].values} == {
        ("relaxation", "", "mp-149", ""),
        ("fit", "gap", "", "gap"),
        ("phonons", "gap", "mp-165", "relaxed"),
    }
    assert (table[table.done == 0].core_hours_left > 0).all()


def not_here(elements) -> str:
    raise PhonsmithError("pw.x: not found")


def test_finished_labels_correct_the_estimate(crystals, tmp_path, monkeypatch):
    campaign = campaign_of()
    store, method = LabelStore(tmp_path), reference_method(campaign.reference)
    _, some = make_supercells("mp-165", crystals["mp-165"], campaign.supercells, campaign.seed, 0)
    labels, _ = label_cells(some[:4], method, Labels(), store)
    cells = cells_of(campaign, crystals, lambda cells: finished_labels(cells, store, method, {}))
    plan = make_plan("tiny", campaign, crystals, cells)
    experience = plan.experience
    assert experience.labels == 4
    model = seconds_per_atom(campaign.reference.potential) * len(some[0])
    ratios = [label.info["wall_time_s"] / model for label in labels]
    assert experience.ratio == pytest.approx(np.median(ratios))
    assert experience.low <= experience.ratio <= experience.high
    table = plan.table()
    rows = table[table.stage == "label"].set_index(["structure", "kind"])
    assert rows.done.to_dict() == {
        ("mp-149", "displaced"): 0,
        ("mp-149", "rattled"): 0,
        ("mp-165", "displaced"): 2,
        ("mp-165", "rattled"): 2,
    }
    one = rows.loc["mp-165", "rattled"]
    assert one.core_hours_left == pytest.approx(3 / 5 * one.core_hours)
    assert one.core_hours == pytest.approx(5 * model * experience.ratio / 3600)
    # a code that cannot be run here
    monkeypatch.setattr(method, "fingerprint", not_here)
    known = campaign.reference.physics()
    store.describe('{"method":"vasp"}')  # by a campaign that shares the store
    found = finished_labels(some, store, method, known)
    assert [label is not None for label in found] == [True] * 4 + [False] * 3
    # labelling is over: what has no label has failed, and nothing is left
    over = {name: Cells(group.cells, group.labels, gathered=True) for name, group in cells.items()}
    rows = make_plan("tiny", campaign, crystals, over).table().set_index(["structure", "kind"])
    rows = rows[rows.stage == "label"]
    assert rows.loc[("mp-165", "rattled"), ["done", "failed", "core_hours_left"]].tolist() == [
        2,
        3,
        0,
    ]
    # a record of other settings has no label for any cell: all are left
    assert rows.loc[("mp-149", "rattled"), ["done", "failed"]].tolist() == [0, 0]
    assert rows.loc[("mp-149", "rattled"), "core_hours_left"] > 0


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
            mirrors=[],
            sources="",
        )
        cells, problem = cells_to_come()(request)
        assert not cells
        planned[0, name] = Cells(cells, [], problem=problem)
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
        "memory_mb": 10,
        "time_limit_minutes": 0.01,
    }
    campaign = campaign_of(reference=settings, labels={"side_by_side": 4, "runtime_minutes": 1})
    cells = cells_of(campaign, crystals)
    plan = make_plan("tiny", campaign, crystals, cells, site=Site(memory_limit_mb=500))
    text = "\n".join(plan.warnings)
    for words in (
        "label mp-149 rattled: a run may take",
        "more than reference.memory_mb = 10",
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
    section = text.split("what they ask a cluster for")[1]
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
    """A fit beyond the machine: lower settings with which it is within."""
    soap = {"n_max": 10, "l_max": 6, "n_sparse": 300}
    campaign = campaign_of(fits={"gap": {"kind": "gap", "soap": soap}})
    cells = cells_of(campaign, crystals)
    (said,) = make_plan("tiny", campaign, crystals, cells, site=site).warnings
    for word in ["lower supercells.max_atoms to about ", "soap.n_max to ", *words]:
        assert word in said
    for key, value in re.findall(r"soap\.(\w+) to (\d+)", said):
        smaller = {"kind": "gap", "soap": soap | {key: int(value)}}
        campaign = campaign_of(fits={"gap": smaller})
        assert not make_plan("tiny", campaign, crystals, cells, site=site).warnings, said


def test_a_fit_beyond_its_memory_is_a_warning(crystals):
    fits = {"gap": {**TINY["fits"]["gap"], "resources": {"memory_mb": 20}}}
    campaign = campaign_of(fits=fits)
    (said,) = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals)).warnings
    assert said.startswith("fit gap: may take") and "resources.memory_mb = 20" in said


def test_a_later_generation_adds_cells_and_fits(crystals):
    campaign = campaign_of()
    cells = cells_of(campaign, crystals)
    request = Request(
        structure="mp-149",
        settings=campaign.structures["mp-149"].model_dump(mode="json"),
        crystal=crystals["mp-149"],
        generation=1,
        supercells=campaign.supercells.model_dump(mode="json"),
        seed=campaign.seed,
        reference={},
        mirrors=[],
        sources="",
        count=3,
    )
    more, problem = cells_to_come()(request)
    assert [cell.info["kind"] for cell in more] == ["rattled"] * 3 and not problem
    cells[1, "mp-149"] = Cells(more, [None] * 3)
    done = {made("fit", 0, "gap")}
    table = make_plan("tiny", campaign, crystals, cells, done=done).table()
    labels = table[(table.stage == "label") & (table.generation == 1)]
    assert labels.runs.tolist() == [3]
    fits = table[table.stage == "fit"].set_index("generation")
    assert fits.core_hours_left[0] == 0 < fits.core_hours_left[1]
    assert fits.atoms[1] > fits.atoms[0]
    goal = {"rmse_thz": 0.1, "harmonic_only": True}
    looping = campaign_of(loop={"goal": goal, "max_generations": 4, "cells_per_structure": 7})
    text = to_markdown(make_plan("tiny", looping, crystals, cells))
    assert "up to 2 further generations of at most 7" in text


def test_an_unknown_calculator_has_no_cost_but_a_plan(crystals):
    potential = {"calculator": "ase.calculators.emt:EMT"}
    campaign = campaign_of(reference={"method": "calculator", "potential": potential})
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals))
    assert any("nothing is known of the speed" in line for line in plan.warnings)
    text = to_markdown(plan)
    assert "? |" in text and "+ ?" in text


WARMING = {
    "thermodynamics": {"volumes": 5},
    "transitions": {
        "squeezed": {
            "driven_by": "pressure",
            "structures": ["mp-149", "mp-165"],
            "pressures_gpa": [0, 5, 10],
            "volumes": 6,
        }
    },
    "conductivity": {"third_order": {"min_atoms": 64, "max_atoms": 64}},
}


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


def test_applications_are_counted_for_the_reference_and_for_fits(crystals):
    campaign = campaign_of(**WARMING)
    third = {"mp-149": ThirdOrderCells(bulk("Si", cubic=True).repeat(2), 111)}
    third["mp-149"].cell.info["structure"] = "mp-149"
    third["mp-165"] = ThirdOrderCells(None, None, "no supercell has at most 64 atoms")
    cells = cells_of(campaign, crystals)
    done = [
        made("thermodynamics", "reference", "mp-149"),
        made("third order", "gap/gen0", "mp-149"),
    ]
    plan = make_plan("tiny", campaign, crystals, cells, third_order=third, done=done)
    assert plan.warnings == ["mp-165: no supercell has at most 64 atoms"]
    table = plan.table()
    rows = table[table.fit == ""].set_index(["stage", "structure", "kind"])
    # at rest twice and five volumes; one and two displaced cells by symmetry, at six volumes
    assert rows.runs["thermodynamics"].to_dict() == {
        ("mp-149", "relaxation"): 7,
        ("mp-149", "displaced"): 6,
        ("mp-165", "relaxation"): 7,
        ("mp-165", "displaced"): 12,
    }
    assert rows.done["thermodynamics"].tolist() == [7, 6, 0, 0]
    assert rows.runs["enthalpies"].tolist() == [9, 9]
    assert rows.runs["third order", "mp-149", "displaced"] == 111
    assert rows.runs["third order"].isna().sum() == 1
    relaxation = rows.core_hours["relaxation", "mp-165", ""]
    squeezed = rows.core_hours["enthalpies", "mp-165", "squeezed"]
    assert squeezed == pytest.approx(9 * relaxation)
    fits = table[table.fit == "gap"].groupby(["stage", "structure"])[["runs", "done"]].sum()
    assert fits.loc["third order", "mp-149"].tolist() == [111, 111]
    assert fits.loc["thermodynamics", "mp-165"].tolist() == [7 * 40 + 12, 0]
    assert fits.loc["enthalpies", "mp-165"].tolist() == [9 * 40, 0]
    text = to_markdown(plan)
    assert "## Applications, by the reference method" in text and "| third order" in text
    assert "volumes added" in " ".join(text.split())


def test_applications_of_the_last_generation_and_of_a_loop_in_all(crystals):
    loop = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}
    campaign = campaign_of(**WARMING, loop=loop)
    cells = cells_of(campaign, crystals)
    cells |= {(1, name): Cells([], []) for name in crystals}
    table = make_plan("tiny", campaign, crystals, cells).table()
    generations = table[table.fit == "gap"].groupby("stage").generation.agg(set)
    assert generations["thermodynamics"] == {1}  # no transition goes by it
    assert generations["enthalpies"] == {0, 1}


def test_third_order_cells_are_as_many_as_were_published(shared_data):
    """111 of the recorded PBEsol calculation of silicon: cubic cell of 8 atoms, 2 × 2 × 2."""
    published = (shared_data / "si-pbesol-fc3/FORCES_FC3").read_text().count("# File")
    crystal = bulk("Si", cubic=True, a=5.43)
    settings = ThirdOrder(min_atoms=64, max_atoms=64)
    cell, count, problem = third_order_cells_to_come(crystal, settings, 1)
    assert (len(cell), count, problem) == (64, published, "")
    assert published == 111
    small = ThirdOrder(min_length_angstrom=30, max_atoms=64)
    assert third_order_cells_to_come(crystal, small, 1)[:2] == (None, None)


def test_text_fits_a_terminal_and_names_units(crystals):
    name = "a-very-long-name-of-a-structure-that-somebody-thought-of-" + 20 * "x"
    structures = {name: TINY["structures"]["mp-149"]}
    campaign = campaign_of(structures=structures, fits={"f" * 70: TINY["fits"]["gap"]})
    crystals = {name: crystals["mp-149"]}
    text = to_markdown(make_plan("tiny", campaign, crystals, cells_of(campaign, crystals)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "a-very-long-name" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    found = [duration(hours) for hours in (0, 1e-5, 0.001, 0.05, 1.25, 1234.5, None)]
    assert found == ["0", "< 1 s", "3.6 s", "3.0 min", "1.2 h", "1,234 h", "?"]


# --- snakemake plan -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory, repository):
    return Project(tmp_path_factory.mktemp("plan"), repository, tiny=TINY)


def test_snakemake_plan_prints_and_runs_nothing_expensive(project):
    assert set(project.planned("plan")) == {
        "read_structure",
        "plan_cells",
        "plan_campaign",
        "plan",
    }
    first = project.run("plan")
    assert first.returncode == 0, first.stderr
    assert "# Plan of tiny" in first.stdout  # with all that a profile may keep quiet
    results = project.results("tiny")
    assert not (results / "relaxed").exists() and not (results / "labels").exists()
    table = pd.read_csv(results / "plan.csv")
    assert table[table.stage == "label"].runs.sum() == 13
    assert set(table.partition) == {"cpu"}
    # again: nothing to do but print
    assert set(project.planned("plan")) == {"plan"}

    labelled = project.run("results/tiny/labels/gen0/mp-149.extxyz")
    assert labelled.returncode == 0, labelled.stderr
    again = project.run("plan")
    assert again.returncode == 0, again.stderr
    assert "6 finished labels of this campaign" in again.stdout
    table = pd.read_csv(results / "plan.csv").set_index(["stage", "structure"])
    assert table.loc["relaxation"].done.to_dict() == {"mp-149": 1, "mp-165": 0}
    assert table.loc[("label", "mp-149")].done.sum() == 6
    assert (table.loc[("label", "mp-149")].core_hours_left == 0).all()
    assert table.loc[("label", "mp-165")].done.sum() == 0
