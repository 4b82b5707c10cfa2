"""Quantum ESPRESSO as a reference method."""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_numbers, ground_state_magnetic_moments

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.born import born_file
from phonsmith.labels.checks import labelled, labelled_alone
from phonsmith.labels.espresso.born import tensors
from phonsmith.labels.espresso.density import LastDensity
from phonsmith.labels.espresso.inputs import (
    Subject,
    atom_namelists,
    born_namelists,
    k_points,
    namelists,
)
from phonsmith.labels.espresso.pseudopotentials import checksums, pseudopotentials_of
from phonsmith.labels.espresso.remedies import Start
from phonsmith.labels.espresso.running import Run, Runner
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.failed import failing_for_good
from phonsmith.labels.kpoints import mesh
from phonsmith.labels.provenance import Provenance, settings_name
from phonsmith.labels.runs import run_folder
from phonsmith.labels.store import LabelStore
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult, relax
from phonsmith.structures.settings import Relaxation

if TYPE_CHECKING:
    from phonsmith.labels.protocol import Allocation

KEEP = ("*.pwi", "*.pwo", "*.phi", "*.pho", "CRASH")
"""Files kept after a failure."""
LOGS = ("*.pwo", "*.pho", "CRASH")
"""Output files with error messages."""


class EspressoMethod:
    """Labels by pw.x. The energy of a label is the free energy, which forces are derivatives of."""

    def __init__(
        self, reference: EspressoReference, structure: str | None, allocation: "Allocation"
    ) -> None:
        self.reference = reference
        self.structure = structure
        self.allocation = allocation
        self.name = reference.level_of_theory
        self.cores = min(reference.cores, allocation.cores)
        limit_s = allocation.limit_s(reference.time_limit_minutes)
        self.runner = Runner(reference, self.cores, limit_s)
        self._density = LastDensity()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_density": LastDensity()}

    @cached_property
    def version(self) -> str:
        """Version of pw.x."""
        found = self.runner.version()
        self.reference.check_version(found, "pw.x")
        return found

    def fingerprint(self, elements: Iterable[str]) -> str:
        """Settings, checksums of the pseudopotentials, and version of pw.x, as canonical JSON.

        Pseudopotentials and magnetisation of these elements only.
        """
        wanted = sorted(set(elements))
        settings = self.reference.physics()
        del settings["pseudopotentials"]  # names do not matter, contents do
        settings.pop("version", None)  # the one found is there in full
        magnetization = settings["starting_magnetization"]
        files = checksums(self.reference.pseudopotentials)
        hubbard = {e: u for e, u in settings.pop("hubbard", {}).items() if e in wanted}
        content = {
            **settings,
            "elements": wanted,
            "starting_magnetization": {e: m for e, m in magnetization.items() if e in wanted},
            **({"hubbard": hubbard} if hubbard else {}),
            "pseudopotential_files": {e: one for e, one in files.items() if e in wanted},
            "code_version": self.version,
            "version": VERSIONS["labels"],
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def elements(self) -> frozenset[str] | None:
        """Return the elements with a pseudopotential."""
        return frozenset(checksums(self.reference.pseudopotentials))

    # --- labels --------------------------------------------------------------------------------

    def label(self, cell: Atoms) -> Atoms:
        """Energy, forces and stress of one cell; what fails is tried again with remedies."""
        started = time.monotonic()
        reference = self.reference
        potentials = self._potentials(cell)
        start = Start(
            namelists(reference, potentials),
            reference.pools,
            from_density=reference.reuse_density and self._density.suits(cell),
        )
        with run_folder(self.allocation.work, KEEP, LOGS) as folder:
            subject = self._subject(cell, potentials, k_points(reference, cell))
            run = self.runner.converge(subject, start, folder, self._density)
            if reference.reuse_density:
                with suppress(OSError):  # a full disk must not cost the label
                    self._density.keep(cell, run.save)
        result = run.result
        made = self._provenance(run, time.monotonic() - started)
        return labelled(
            cell, self.name, result.energy, result.forces, result.stress, provenance=made
        )

    def _potentials(self, cell: Atoms) -> Any:
        settings = self.reference.pseudopotentials
        return pseudopotentials_of(settings, self.reference.functional, cell.symbols)

    def _subject(self, cell: Atoms, potentials: Any, kpts: tuple[int, int, int] | None) -> Subject:
        return Subject(cell, potentials, kpts, self.version if self.reference.hubbard else "")

    def _provenance(self, run: Run, wall_time_s: float) -> Provenance:
        return Provenance(
            code="Quantum ESPRESSO",
            code_version=run.result.version,
            settings=settings_name(self.fingerprint(run.result.atoms.symbols)),
            wall_time_s=wall_time_s,
            cores=self.cores,
            scf_steps=run.result.scf_steps,
            memory_mb=run.finished.peak_memory_mb * self.cores,
            remedies=run.remedies_in_words,
        )

    # --- crystals and atoms --------------------------------------------------------------------

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Relax with phonsmith's own optimiser, every step a static run of its own.

        Each step has plane waves made for its cell, so that the stress at the end is that of a
        fresh run. pw.x finds the symmetry of the atoms by itself and uses it to save k-points;
        forces and stress have that symmetry anyway, none is imposed that the atoms do not have.
        """
        return relax(atoms, Espresso(self), settings, load)

    def isolated_atom(self, element: str) -> Atoms | None:
        """Return the atom in a box, in the spin state of its ground state (Hund's rules).

        The box has three different edges, so that partly filled shells find their state.
        """
        if not self.reference.isolated_atoms:
            return None
        started = time.monotonic()
        edges = np.array(self.reference.isolated_atom_edges_angstrom)
        box = Atoms(element, positions=[edges / 2], cell=edges, pbc=True)
        potentials = self._potentials(box)
        moment = float(ground_state_magnetic_moments[atomic_numbers[element]])
        start = Start(atom_namelists(self.reference, potentials[element], moment))
        what = f"the isolated {element} atom"
        with (
            failing_for_good("Quantum ESPRESSO", what),
            run_folder(self.allocation.work, KEEP, LOGS) as folder,
        ):
            run = self.runner.converge(self._subject(box, potentials, None), start, folder)
        made = self._provenance(run, time.monotonic() - started)
        return labelled_alone(box, self.name, run.result.energy, made)

    def born(self, crystal: Atoms) -> str:
        """Born charges and dielectric tensor by pw.x and ph.x, as phonopy's BORN file.

        Raises
        ------
        PhonsmithError
            A run fails, or the crystal is no insulator.
        """
        potentials = self._potentials(crystal)
        settings = born_namelists(self.reference, potentials)
        start = Start(settings, self.reference.pools, insulator=True)
        grid = mesh(crystal, self.reference.kspacing_per_angstrom)
        subject = self._subject(crystal, potentials, grid)
        with (
            failing_for_good("Quantum ESPRESSO", "the run for Born charges"),
            run_folder(self.allocation.work, KEEP, LOGS) as folder,
        ):
            run = self.runner.converge(subject, start, folder)
            place = run.save.parents[1]
            epsilon, charges = tensors(self.runner.ph(place), len(crystal))
            return born_file(crystal, charges, epsilon)


class Espresso(Calculator):  # type: ignore[misc]
    """pw.x as an ASE calculator for relaxations: every evaluation is a label."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, method: EspressoMethod) -> None:
        super().__init__()
        self.method = method

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        """Label the atoms or take the label from the store, so that relaxations can be resumed.

        Parameters
        ----------
        atoms
            Cell.
        properties
            Ignored: energy, forces and stress are always computed.
        system_changes
            Passed to ASE's ``Calculator.calculate``.
        """
        super().calculate(atoms, properties, system_changes)
        label = self._label(self.atoms)
        stress = label.info[STRESS]
        print(f"{label.info[ENERGY]:.6f} eV, {label.info['wall_time_s']:.1f} s", flush=True)
        self.results = {
            "energy": label.info[ENERGY],
            "forces": label.arrays[FORCES],
            "stress": stress.flat[[0, 4, 8, 5, 2, 1]],
        }

    def _label(self, atoms: Atoms) -> Atoms:
        store = self.method.allocation.store
        if store is None:
            return self.method.label(atoms)
        fingerprint = self.method.fingerprint(atoms.symbols)
        key = LabelStore.key(atoms, fingerprint)
        label = store.get(key)
        if label is None:
            label = self.method.label(atoms)
            store.describe(fingerprint)
            store.put(key, label)
        return label
