"""Quantum ESPRESSO as a reference method, as far as pw.x itself is not needed."""

import json
import shutil

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.checks import labelled
from phonsmith.labels.espresso.inputs import check_spelling
from phonsmith.labels.espresso.method import EspressoMethod
from phonsmith.labels.espresso.pseudopotentials import read_upf
from phonsmith.labels.factory import reference_method
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.store import LabelStore
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from tests.labels.espresso.examples import reference, upf


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_data": {"electrons": {"scf_must_converge": False}}}, "labels must converge"),
        ({"input_data": {"system": {"ECUTWFC": 50}}}, "use ecutwfc_ry"),
        ({"input_data": {"system": {"starting_magnetization(1)": 1}}}, "starting_magnetization"),
        ({"input_data": {"system": {"Hubbard_U(1)": 3.0}}}, "go by their order"),
        ({"input_data": {"control": {"max_seconds": 3}}}, "use time_limit_minutes"),
        ({"ecutrho_ry": 100}, "four times"),
        ({"conv_thr_ry": 1e-6}, "conv_thr_ry"),
        ({"magnetism": True, "born_charges": True}, "born_charges: ph.x requires fixed"),
        ({"starting_magnetization": {"Si": 0.5}}, "requires magnetism"),
        ({"cores": 4, "command": "mpirun -np 4 pw.x"}, "{cores}"),
        ({"cores": 4, "pools": 3}, "multiple of pools"),
        ({"command": "mpirun vasp_std"}, "must run pw.x"),
        ({"pseudopotentials": {"folder": "x"}}, "either"),
    ],
)
def test_settings_that_cannot_work_are_refused(pseudo, changes, words):
    with pytest.raises(ValidationError) as caught:
        reference(pseudo, **changes)
    assert words in str(caught.value)


def test_misspelt_keys_are_refused(pseudo):
    check_spelling(reference(pseudo, input_data={"system": {"Lda_Plus_U": True}}))
    with pytest.raises(PhonsmithError, match=r"input_data\.system\.vdwcorr: not a key of pw\.x"):
        check_spelling(reference(pseudo, input_data={"system": {"vdwcorr": "d3"}}))
    with pytest.raises(PhonsmithError, match=r"input_data\.control\.vdw_corr"):
        check_spelling(reference(pseudo, input_data={"control": {"vdw_corr": "d3"}}))
    with pytest.raises(PhonsmithError, match=r"vdwcor: .*'vdw_corr'\?\ninput_data.control.b: "):
        check_spelling(reference(pseudo, input_data={"system": {"vdwcor": 1}, "control": {"b": 1}}))


def test_what_labels_depend_on(pseudo, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(pseudo, moved)
    base = reference(pseudo)
    effort = {"pools": 2, "cores": 2, "reuse_density": True, "time_limit_minutes": 9}
    assert reference(moved, **effort).physics() == base.physics()
    for changes in ({"ecutwfc_ry": 31}, {"conv_thr_ry": 1e-12}, {"functional": "PBE"}):
        assert reference(pseudo, **changes).physics() != base.physics()


def test_fingerprint_holds_version_and_checksums(pseudo, tmp_path):
    """A stand-in prints what pw.x prints first; a changed pseudopotential changes the print."""
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho; echo '     Program PWSCF v.9.8.7 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    here = Allocation(1, tmp_path)
    make = lambda: reference_method(reference(pseudo, command=str(program)), allocation=here)  # noqa: E731
    first = json.loads(make().fingerprint(["Si"]))
    assert first["code_version"] == "9.8.7"
    assert first["pseudopotential_files"]["Si"] == read_upf(pseudo / "Si.pbesol.UPF").sha256
    path = pseudo / "Si.pbesol.UPF"
    path.write_text(path.read_text() + "\n")
    read_upf.cache_clear()
    assert json.loads(make().fingerprint(["Si"])) != first
    # another element leaves labels valid, as far as it is not in them
    upf(pseudo, "Ge.pbesol.UPF", element="Ge")
    files = {"Si": "Si.pbesol.UPF", "Ge": "Ge.pbesol.UPF"}
    sources = {"folder": str(pseudo), "files": files}
    more = reference(pseudo, command=str(program), pseudopotentials=sources)
    both = reference_method(more, allocation=here)
    assert both.fingerprint(["Si", "Si"]) == make().fingerprint(["Si"])
    mixed = json.loads(both.fingerprint(["Si", "Ge"]))
    assert mixed["pseudopotential_files"].keys() == {"Si", "Ge"}
    missing = reference_method(reference(pseudo, command="/nowhere/pw.x"), allocation=here)
    with pytest.raises(PhonsmithError, match=r"/nowhere/pw\.x.* install Quantum ESPRESSO"):
        missing.fingerprint(["Si"])


def test_a_stated_version_is_compared_before_anything_runs(pseudo, tmp_path):
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho '     Program PWSCF v.7.2 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    make = lambda **more: reference_method(  # noqa: E731
        reference(pseudo, command=str(program), **more), allocation=Allocation(1, tmp_path)
    )
    assert make(version="7.2").fingerprint(["Si"]) == make().fingerprint(["Si"])
    with pytest.raises(PhonsmithError, match=r"reference.version is 6.7, but pw.x 7.2 ran"):
        make(version="6.7").fingerprint(["Si"])


def test_a_relaxation_that_was_ended_goes_on(pseudo, tmp_path, monkeypatch):
    """With energies of Stillinger-Weber in place of pw.x; its steps are taken from the store."""
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho; echo '     Program PWSCF v.9.8.7 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    computed = []

    def label(self, cell):
        if len(computed) == ends:
            raise KeyboardInterrupt
        (one,) = evaluate([cell], PotentialSource(calculator="stillinger-weber"))
        computed.append(cell.positions.copy())
        made = Provenance("SW", "1", "x", 0.1)
        return labelled(cell, "SW", one.energy, one.forces, one.stress, provenance=made)

    monkeypatch.setattr(EspressoMethod, "label", label)
    crystal = bulk("Si", cubic=True)
    crystal.rattle(0.1, seed=1)

    def relaxed(store):
        allocation = Allocation(1, tmp_path, store=store)
        method = EspressoMethod(reference(pseudo, command=str(program)), None, allocation)
        return method.relax(crystal, Relaxation(fmax_ev_per_angstrom=1e-3))

    ends = 1000
    undisturbed = relaxed(None)
    steps = len(computed)
    computed.clear()
    store, ends = LabelStore(tmp_path / "store"), 3
    with pytest.raises(KeyboardInterrupt):
        relaxed(store)
    assert 3 == len(computed) < steps
    ends = 1000
    result = relaxed(store)
    assert len(computed) == steps
    assert np.array_equal(result.atoms.positions, undisturbed.atoms.positions)
    assert result.energy_ev == undisturbed.energy_ev
