"""The registry's entry of recorded labels."""

from typing import TYPE_CHECKING

from phonsmith.labels.kind import MethodKind, Occasion
from phonsmith.labels.recorded.settings import RecordedReference

if TYPE_CHECKING:
    from phonsmith.labels.protocol import ReferenceMethod


class Recorded(MethodKind[RecordedReference]):
    """Labels that exist already."""

    settings = RecordedReference

    def make(self, reference: RecordedReference, occasion: Occasion) -> "ReferenceMethod":
        """Build the method itself, of one crystal."""
        from phonsmith.labels.recorded.method import RecordedMethod

        return RecordedMethod(
            reference.of(occasion.recorded_as),
            occasion.recorded,
            occasion.places,
            occasion.crystal,
            occasion.recorded_as.get("recorded_supercell"),
        )


KIND = Recorded()
