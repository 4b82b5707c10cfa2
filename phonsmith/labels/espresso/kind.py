"""The registry's entry of Quantum ESPRESSO."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.files.errors import Problems
from phonsmith.labels.checksums import checksum
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.kind import DftKind, Draft, Occasion

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.running.costs import ElectronicSize, PlaneWaveCost


class QuantumEspresso(DftKind[EspressoReference]):
    """Labels from pw.x."""

    settings = EspressoReference
    citation = (
        "Quantum ESPRESSO: P. Giannozzi et al., J. Phys.: Condens. Matter 21, 395502 (2009) and "
        "29, 465901 (2017)."
    )

    def make(self, reference: EspressoReference, occasion: Occasion) -> "ReferenceMethod":
        """Build the method itself."""
        from phonsmith.labels.espresso.method import EspressoMethod

        return EspressoMethod(reference, occasion.structure, occasion.allocation.here())

    def drafts(self) -> list[str]:
        """Return the name of the code."""
        return ["espresso"]

    def draft(self, name: str, elements: Sequence[str]) -> Draft:
        """Write settings with the pseudopotentials found in the project."""
        from phonsmith.labels.espresso.draft import draft

        return draft(elements)

    def files(self, reference: EspressoReference) -> list[str]:
        """Pseudopotentials that are named by element."""
        source = reference.pseudopotentials
        return [f"{source.folder}/{name}" for name in (source.files or {}).values()]

    def contents(self, reference: EspressoReference) -> dict[str, str]:
        """Of the named files; a family counts by its table (SSSP) or by all files in the folder."""
        source = reference.pseudopotentials
        folder = Path(source.folder)
        if source.files is not None:
            return {element: checksum(folder / name) for element, name in source.files.items()}
        pattern = "SSSP*.json" if source.family == "SSSP" else "*.[uU][pP][fF]"
        return {path.name: checksum(path) for path in sorted(folder.glob(pattern))}

    def check_files(
        self,
        reference: EspressoReference,
        elements: Collection[str],
        structures: Collection[str],
    ) -> None:
        """Check the pseudopotentials of all elements, and the spelling of further keys."""
        from phonsmith.labels.espresso.inputs import check_spelling
        from phonsmith.labels.espresso.pseudopotentials import pseudopotentials_of

        settings = reference.pseudopotentials
        problems = Problems()
        with problems.of("reference"):
            check_spelling(reference)
        for element in sorted({*(settings.files or ()), *elements}):
            with problems.of("reference"):
                pseudopotentials_of(settings, reference.functional, [element])
        problems.raise_all()

    def electronic_size(
        self, cell: "Atoms", reference: EspressoReference, structure: str | None
    ) -> "ElectronicSize":
        """Return electrons, k-points and plane waves of a cell."""
        from phonsmith.labels.espresso.cost import electronic_size

        return electronic_size(cell, reference)

    def cost(self) -> "PlaneWaveCost":
        """Return the constants of pw.x."""
        from phonsmith.labels.espresso.cost import ESPRESSO

        return ESPRESSO


KIND = QuantumEspresso()
