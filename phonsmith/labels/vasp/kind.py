"""The registry's entry of VASP."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from phonsmith.files.errors import PhonsmithError, Problems
from phonsmith.files.problems import nearest
from phonsmith.labels.checksums import checksum
from phonsmith.labels.kind import DftKind, Draft, Occasion
from phonsmith.labels.vasp.potcar_files import potcar_file
from phonsmith.labels.vasp.settings import VaspReference

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.running.costs import ElectronicSize, PlaneWaveCost


class Vasp(DftKind[VaspReference]):
    """Labels from VASP."""

    settings = VaspReference
    citation = (
        "VASP: G. Kresse, J. Furthmüller, Phys. Rev. B 54, 11169 (1996); PAW: G. Kresse, "
        "D. Joubert, Phys. Rev. B 59, 1758 (1999)."
    )

    def make(self, reference: VaspReference, occasion: Occasion) -> "ReferenceMethod":
        """Build the method itself."""
        from phonsmith.labels.vasp.method import VaspMethod

        return VaspMethod(reference, occasion.structure, occasion.allocation.here())

    def drafts(self) -> list[str]:
        """Return the name of the code."""
        return ["vasp"]

    def draft(self, name: str, elements: Sequence[str]) -> Draft:
        """Write settings with the POTCARs that the Materials Project uses."""
        from phonsmith.labels.vasp.draft import draft

        return draft(elements)

    def contents(self, reference: VaspReference) -> dict[str, str]:
        """Of the POTCAR files, by element."""
        return {
            element: checksum(potcar_file(symbol, reference.family))
            for element, symbol in reference.potcars.items()
        }

    def check_files(
        self, reference: VaspReference, elements: Collection[str], structures: Collection[str]
    ) -> None:
        """Check the POTCAR files of all elements, the spelling of tags, and ids of structures."""
        from phonsmith.labels.vasp.inputs import check_spelling
        from phonsmith.labels.vasp.potcars import check_cutoff, potcars_of

        problems, sound = Problems(), []
        for name in reference.incar_by_structure:
            with problems.below("reference"):
                if name not in structures:
                    raise PhonsmithError(
                        f"incar_by_structure.{name}: no such structure{nearest(name, structures)}"
                    )
        with problems.below("reference"):
            check_spelling(reference)
        for element in [*sorted(elements), *sorted(reference.potcars.keys() - set(elements))]:
            with problems.below("reference"):
                potcars_of(reference, [element])
                sound.append(element)
        with problems.below("reference"):
            check_cutoff(reference, sound)
        problems.raise_all()

    def electronic_size(
        self, cell: "Atoms", reference: VaspReference, structure: str | None
    ) -> "ElectronicSize":
        """Return electrons, k-points and plane waves of a cell."""
        from phonsmith.labels.vasp.cost import electronic_size

        return electronic_size(cell, reference, structure)

    def cost(self) -> "PlaneWaveCost":
        """Return the constants of VASP."""
        from phonsmith.labels.vasp.cost import VASP

        return VASP


KIND = Vasp()
