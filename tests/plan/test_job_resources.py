"""What DFT jobs ask for, against what recorded runs have taken."""

import gzip
import math
import re

import pytest
from ase.io import read

from phonsmith.labels.protocol import Allocation
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.plan.job_resources import (
    JOB_MINUTES,
    TIME_FACTOR,
    most_minutes,
    need_of_atoms,
    need_of_crystal,
    need_of_labels,
    need_of_thermodynamics,
)
from phonsmith.thermodynamics.settings import Thermodynamics
from tests.potcars import write_potcar


@pytest.fixture
def tin(tmp_path, monkeypatch):
    """A function: the reference of autoplex's tutorial data, on so many cores."""
    from pymatgen.core import SETTINGS

    write_potcar(tmp_path, "Sn_d", valence=14.0)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    settings = {
        **{"method": "vasp", "potcars": {"Sn": "Sn_d"}, "kspacing_per_angstrom": 0.1},
        **{"encut_ev": 700},
    }
    return lambda cores: VaspReference.model_validate({**settings, "cores": cores})


def recorded(shared_data):
    """Cell, cores, memory in MB and minutes of four of the runs of α-Sn, of 8 and of 64 atoms."""
    paths = sorted((shared_data / "sn-alpha-vasp").glob("*mp-117*/outputs/OUTCAR.gz"))
    for path in paths[1::4]:
        with gzip.open(path, "rt", errors="replace") as stream:
            text = stream.read()
        cores = int(re.search(r"running on +(\d+) total", text)[1])
        memory = re.search(r"Maximum memory used \(kb\): +([\d.]+)", text)[1]
        seconds = re.search(r"Elapsed time \(sec\): +([\d.]+)", text)[1]
        cell = read(path.with_name("POSCAR.gz"), format="vasp")
        yield cell, cores, cores * float(memory) * 1024e-6, float(seconds) / 60


def test_a_job_has_the_memory_and_time_that_vasp_took(shared_data, tin):
    runs = list(recorded(shared_data))
    assert {len(cell) for cell, *_ in runs} == {8, 64}
    for cell, cores, memory_mb, minutes in runs:
        need = need_of_labels([cell], tin(cores), "mp-117")
        assert memory_mb < need.memory_mb < 2 * memory_mb
        assert 2 * minutes < need.minutes - JOB_MINUTES < 5 * minutes + 1


def test_time_goes_by_the_cells_of_a_job(shared_data, tin):
    cell, cores, *_ = next(run for run in recorded(shared_data) if len(run[0]) == 64)
    reference = tin(cores)

    def minutes(cells, **jobs):
        return need_of_labels([cell] * cells, reference, "mp-117", **jobs).minutes - JOB_MINUTES

    assert minutes(30) == pytest.approx(30 * minutes(1), rel=0.1)
    assert minutes(30, batches=10) == pytest.approx(3 * minutes(1), rel=0.1)
    assert minutes(30, batches=10, side_by_side=2) == pytest.approx(2 * minutes(1), rel=0.1)
    assert need_of_labels([], reference, "mp-117").minutes == JOB_MINUTES


def test_a_job_outlives_a_run_that_hangs(shared_data, tin, monkeypatch):
    """And has time for all others behind it, of the length that the model expects."""
    cell, cores, *_ = next(run for run in recorded(shared_data) if len(run[0]) == 64)
    reference = tin(cores)
    settings = reference.model_dump(mode="json")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert most_minutes([cell] * 8, settings, "mp-117", 1) == math.inf
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    limit = most_minutes([cell] * 8, settings, "mp-117", 1)
    one = (limit - JOB_MINUTES) / TIME_FACTOR
    assert limit + 7 * one < need_of_labels([cell] * 8, reference, "mp-117").minutes
    assert most_minutes([cell] * 8, settings, "mp-117", 3) == 3 * limit
    assert Allocation(attempt=3, run_minutes=3 * limit).limit_s(600) == 180 * limit
    assert Allocation(attempt=3).limit_s(240) == 3 * 240 * 60
    emt = {"method": "calculator", "potential": {"calculator": "ase.calculators.emt:EMT"}}
    assert most_minutes([cell], emt, "mp-117", 1) == math.inf


def test_cells_of_a_data_set_differ_in_cost(shared_data, tin):
    """A job is as long as its cells together, not as many times the longest, with its memory."""
    runs = list(recorded(shared_data))
    small, large = (next(cell for cell, *_ in runs if len(cell) == atoms) for atoms in (8, 64))
    reference = tin(48)

    def need(*cells):
        return need_of_labels(cells, reference, None)

    few, many, mixed = need(large), need(*[small] * 99), need(large, *[small] * 99)
    assert few.memory_mb > 2 * many.memory_mb
    assert mixed.memory_mb == few.memory_mb
    assert mixed.minutes == pytest.approx(few.minutes + many.minutes - JOB_MINUTES, abs=1)


def test_a_relaxation_is_many_runs_and_an_atom_in_its_box_takes_memory(shared_data, tin):
    crystal, cores, *_ = next(run for run in recorded(shared_data) if len(run[0]) == 8)
    reference = tin(cores)
    one = need_of_labels([crystal], reference, "mp-117")
    relaxed = need_of_crystal(crystal, reference, "mp-117")
    assert relaxed.memory_mb == one.memory_mb
    assert relaxed.minutes - JOB_MINUTES > 5 * (one.minutes - JOB_MINUTES)
    assert need_of_atoms(["Sn"], tin(1)).memory_mb > 300  # VASP's own, and plane waves of 3360 Å³


def test_applications_are_relaxations_and_displaced_cells(shared_data, tin):
    """Of α-Sn at five volumes: seven relaxations, and one displaced cell at rest and at each."""
    runs = list(recorded(shared_data))
    crystal = next(cell for cell, *_ in runs if len(cell) == 8)
    displaced, cores, memory_mb, minutes = next(run for run in runs if len(run[0]) == 64)
    reference = tin(cores)

    def of(displaced, **settings):
        warming = Thermodynamics.model_validate({"volumes": 5, **settings})
        return need_of_thermodynamics(crystal, displaced, reference, "mp-117", warming)

    relaxed = need_of_crystal(crystal, reference, "mp-117", relaxations=7)
    once = need_of_crystal(crystal, reference, "mp-117")
    assert relaxed.minutes - JOB_MINUTES == pytest.approx(7 * (once.minutes - JOB_MINUTES), rel=0.1)
    whole, at_rest = of([displaced]), of([displaced], quasi_harmonic=False)
    assert whole.memory_mb == at_rest.memory_mb and memory_mb < whole.memory_mb < 2 * memory_mb
    for need, labels in ((whole, 6), (at_rest, 1)):
        assert 2 * labels * minutes < need.minutes - relaxed.minutes < 5 * labels * minutes + labels
    assert of([displaced] * 4).minutes - relaxed.minutes == pytest.approx(
        4 * (whole.minutes - relaxed.minutes), rel=0.1
    )
