"""VASP as a reference method."""

import json
import math
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.born import born_file
from phonsmith.labels.checks import check_label, check_same, labelled, labelled_alone
from phonsmith.labels.failed import LabelFailed, failing_for_good
from phonsmith.labels.provenance import Provenance, settings_name
from phonsmith.labels.recorded.readers.vasp import LARGEST_STRAIN, VaspRun, unfinished_relaxation
from phonsmith.labels.runs import run_folder
from phonsmith.labels.settings import Labels
from phonsmith.labels.vasp.inputs import (
    Tags,
    born_tags,
    gamma_alone,
    in_vasp_order,
    isolated_atom_tags,
    relaxation_tags,
    static_tags,
    write_inputs,
)
from phonsmith.labels.vasp.potcars import PotcarFile, potcars_of
from phonsmith.labels.vasp.running import KEEP, LOGS, Attempt, accepted, run_vasp
from phonsmith.labels.vasp.settings import VaspReference, without_shares
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult, largest_force
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain, with_sites_of

if TYPE_CHECKING:
    from phonsmith.labels.protocol import Allocation


class VaspMethod:
    """Labels by VASP.

    The energy of a label is VASP's free energy (TOTEN, e_fr_energy), the one whose derivatives the
    forces are; the "energy(sigma->0)" that VASP prints last is an extrapolation beside it.
    """

    def __init__(
        self, reference: VaspReference, structure: str | None, allocation: "Allocation"
    ) -> None:
        self.reference = reference
        self.structure = structure
        self.allocation = allocation
        self.name = reference.level_of_theory
        self.cores = min(reference.cores, allocation.cores)
        self._limit_s = allocation.limit_s(reference.time_limit_minutes)

    def fingerprint(self, elements: Iterable[str]) -> str:
        """Return the INCAR of labels, and title and checksum of the POTCARs, as canonical JSON.

        POTCARs and moments of these elements only; VASP's version where the campaign states it.
        """
        reference = self.reference
        wanted = sorted(set(elements))
        files = self._potcars(wanted)
        content = {
            "method": "vasp",
            "functional": reference.functional,
            "incar": without_shares(static_tags(reference, self.structure)),
            "elements": wanted,
            "magmom": {e: moment for e, moment in reference.magmom.items() if e in wanted},
            "potcars": {
                element: {"title": file.title, "sha256": file.sha256}
                for element, file in files.items()
            },
            "version": VERSIONS["labels"],
        }
        if hubbard := {e: u.model_dump() for e, u in reference.hubbard.items() if e in wanted}:
            content["hubbard"] = hubbard
        if reference.version:
            content["code_version"] = reference.version
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def elements(self) -> frozenset[str] | None:
        """Return the elements with a POTCAR."""
        return frozenset(self.reference.potcars)

    # --- labels ----------------------------------------------------------------------------------

    def label(self, cell: Atoms) -> Atoms:
        """Free energy, forces and stress of one cell, its atoms in their own order."""
        with run_folder(self.allocation.work, KEEP, LOGS) as folder:
            done = self._run(folder, cell, static_tags(self.reference, self.structure))
            done.run.refuse_pressure()
            frame = done.frame
            if STRESS not in frame.info:
                raise LabelFailed("vasprun.xml: holds no stress")
            check_same(frame, cell)
        return labelled(
            cell,
            self.name,
            frame.info[ENERGY],
            frame.arrays[FORCES],
            frame.info[STRESS],
            provenance=self._provenance(done),
        )

    def _run(
        self,
        folder: Path,
        cell: Atoms,
        tags: Tags,
        *,
        relaxation: bool = False,
        largest_strain: float = LARGEST_STRAIN,
    ) -> "_Done":
        started = time.monotonic()
        attempt = self._attempt(folder, cell, tags, relaxation=relaxation)
        run, outcar = accepted(folder, largest_strain)
        self.reference.check_version(run.version, "VASP")
        return _Done(
            run=run,
            frame=_in_own_order(run.frames[-1], cell),
            attempt=attempt,
            wall_time_s=time.monotonic() - started,
            memory_mb=_memory_mb(outcar, self.cores),
        )

    def _attempt(
        self, folder: Path, cell: Atoms, tags: Tags, *, relaxation: bool = False
    ) -> Attempt:
        reference = self.reference
        moments = reference.magmom if reference.magnetism and "MAGMOM" not in tags else None
        try:
            potcars = self._potcars(cell.symbols)
            write_inputs(folder, cell, tags, potcars, moments, hubbard=reference.hubbard)
        except OSError as error:
            raise LabelFailed(f"inputs cannot be written ({error.strerror})") from error
        command = reference.command or (
            "vasp_std" if self.cores == 1 else "mpirun -np {cores} vasp_std"
        )
        if reference.command_gamma and gamma_alone(cell, tags):
            command = reference.command_gamma
        try:
            return run_vasp(folder, command, self.cores, self._limit_s, relaxation=relaxation)
        finally:
            (folder / "POTCAR").unlink(missing_ok=True)

    def _potcars(self, elements: Any) -> dict[str, PotcarFile]:
        try:
            return potcars_of(self.reference, elements)
        except PhonsmithError as error:
            raise PhonsmithError(f"reference.{error}") from None

    def _provenance(self, done: "_Done") -> Provenance:
        return Provenance(
            code="VASP",
            code_version=done.run.version,
            settings=settings_name(self.fingerprint(done.frame.symbols)),
            wall_time_s=done.wall_time_s,
            cores=self.cores,
            scf_steps=done.run.scf_steps,
            memory_mb=done.memory_mb,
            remedies=done.attempt.remedies,
        )

    # --- crystals and atoms ------------------------------------------------------------------

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Relax cell and positions with VASP's conjugate gradients, in two runs.

        Plane waves are fixed by the first cell of a run; the second run starts from the last cell
        of the first with new plane waves, and its last cell is the result. VASP ends a relaxation
        when all forces, and with ISIF 3 the stress, are below EDIFFG. A run that ends by NSW
        instead, also after custodian's remedies, gives a result that is not converged: its last
        cell, from which the relaxation can resume with a larger limit.

        Under pressure a static run of the last cell follows: with PSTRESS, the energy in
        vasprun.xml includes pV and the stress is the remaining stress (VASP manual).

        Raises
        ------
        LabelFailed
            A run fails, or the second run still strains the lattice.
        """
        load = self.load_of(load)
        tags = relaxation_tags(self.reference, self.structure, settings, load)
        steps, last = 0, atoms
        with run_folder(self.allocation.work, KEEP, LOGS) as folder:
            for name, strain in (("first", math.inf), ("second", LARGEST_STRAIN)):
                place = folder / name
                place.mkdir()
                try:
                    done = self._run(place, last, tags, relaxation=True, largest_strain=strain)
                except LabelFailed as failed:
                    frame = None if failed.wants else unfinished_relaxation(place / "vasprun.xml")
                    if frame is None:
                        raise
                    print(f"{name} relaxation: {failed}", flush=True)
                    last = _unwrapped(_in_own_order(frame, last), last)
                    return _not_converged(last, settings, load)
                steps += done.run.ionic_steps
                last = _unwrapped(done.frame, last)
                print(f"{name} relaxation: {done.run.ionic_steps} steps", flush=True)
            if load.pressure_gpa:
                (folder / "static").mkdir()
                done = self._run(
                    folder / "static", last, static_tags(self.reference, self.structure)
                )
        return RelaxationResult(
            atoms=plain(last),
            converged=True,
            steps=steps,
            fmax_ev_per_angstrom=_force_left(done.frame, load),
            energy_ev=float(done.frame.info[ENERGY]),
        )

    def load_of(self, load: Load) -> Load:
        """Return the load of a relaxation: the settings may keep the volume of all crystals."""
        return Load(fixed_volume=True) if self.reference.volume == "fixed" else load

    def isolated_atom(self, element: str) -> Atoms | None:
        """Label the atom in a box, spin-polarised, starting from Hund's moment."""
        if not self.reference.isolated_atoms:
            return None
        edges = np.array(self.reference.isolated_atom_edges_angstrom)
        box = Atoms(element, positions=[edges / 2], cell=edges, pbc=True)
        with (
            failing_for_good("VASP", f"the isolated {element} atom"),
            run_folder(self.allocation.work, KEEP, LOGS) as folder,
        ):
            done = self._run(folder, box, isolated_atom_tags(self.reference, element))
            check_label(done.frame, box, Labels())
        energy = done.frame.info[ENERGY]
        return labelled_alone(box, self.name, energy, self._provenance(done))

    def born(self, crystal: Atoms) -> str:
        """Born charges and dielectric tensor (LEPSILON) as phonopy's BORN file.

        Raises
        ------
        PhonsmithError
            The run fails, or the crystal is no insulator.
        """
        with (
            failing_for_good("VASP", "the run for Born charges"),
            run_folder(self.allocation.work, KEEP, LOGS) as folder,
        ):
            self._attempt(folder, crystal, born_tags(self.reference, self.structure))
            return born_text(folder / "vasprun.xml", crystal)


@dataclass(frozen=True)
class _Done:
    """An accepted run; ``frame`` is its last cell, atoms in the order of the cell asked for."""

    run: VaspRun
    frame: Atoms
    attempt: Attempt
    wall_time_s: float
    memory_mb: float | None


def _in_own_order(frame: Atoms, cell: Atoms) -> Atoms:
    """What VASP computed in its order of atoms, in the order of the cell."""
    if len(frame) != len(cell):
        raise LabelFailed(f"has {len(frame)} atoms where the cell has {len(cell)}")
    return frame[np.argsort(in_vasp_order(cell))]


def _unwrapped(atoms: Atoms, before: Atoms) -> Atoms:
    """Atoms shifted by lattice vectors to where they were before; VASP puts them into the cell."""
    fractional = atoms.get_scaled_positions(wrap=False)
    shifts = np.rint(before.get_scaled_positions(wrap=False) - fractional)
    moved = atoms.copy()
    moved.set_scaled_positions(fractional + shifts)
    return with_sites_of(before, moved)


def _not_converged(frame: Atoms, settings: Relaxation, load: Load) -> RelaxationResult:
    """A relaxation that has used all its steps; under PSTRESS the stress is what is left of it."""
    left = replace(load, pressure_gpa=0.0)
    return RelaxationResult(plain(frame), False, settings.max_steps, _force_left(frame, left), None)


def _memory_mb(outcar: str, cores: int) -> float | None:
    """Memory of all ranks, estimated from the first: OUTCAR reports no other."""
    found = re.search(r"Maximum memory used \(kb\):\s*([\d.]+)", outcar)
    return float(found[1]) * 1024 / 1e6 * cores if found else None


def born_text(vasprun: Path, crystal: Atoms) -> str:
    """phonopy's BORN file from a vasprun.xml with LEPSILON.

    Raises
    ------
    LabelFailed
        The file is not complete, holds no tensors, or they are not those of an insulator.
    """
    from phonopy.interface.vasp import VasprunxmlExpat

    try:
        with vasprun.open("rb") as stream:
            parsed = VasprunxmlExpat(stream)
            parsed.parse()
        charges, epsilon = np.array(parsed.born), np.array(parsed.epsilon)
    except Exception as error:  # phonopy and expat raise many kinds
        raise LabelFailed(f"vasprun.xml: is not complete ({error})") from error
    if charges.shape != (len(crystal), 3, 3) or epsilon.shape != (3, 3):
        raise LabelFailed("vasprun.xml: holds no Born charges and dielectric tensor")
    return born_file(crystal, charges[np.argsort(in_vasp_order(crystal))], epsilon)


def _force_left(frame: Atoms, load: Load) -> float:
    return largest_force(frame.arrays[FORCES], frame.info[STRESS], frame.get_volume(), load)
