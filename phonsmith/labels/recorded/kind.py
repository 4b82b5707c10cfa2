"""The registry's entry of recorded labels."""

from typing import TYPE_CHECKING

from phonsmith.files.settings import Source
from phonsmith.labels.kind import MethodKind, Occasion
from phonsmith.labels.recorded.settings import RecordedReference

if TYPE_CHECKING:
    from phonsmith.labels.protocol import ReferenceMethod


class Recorded(MethodKind[RecordedReference]):
    """Labels that exist already."""

    settings = RecordedReference

    def level_of_theory(self, reference: RecordedReference) -> str:
        """As its settings state it."""
        return reference.level_of_theory

    def make(self, reference: RecordedReference, occasion: Occasion) -> "ReferenceMethod":
        """Build the method itself, of one crystal."""
        from phonsmith.labels.recorded.method import RecordedMethod

        return RecordedMethod(
            reference.of(occasion.recorded_as),
            occasion.recorded,
            occasion.mirrors,
            occasion.cache,
            occasion.crystal,
            occasion.recorded_as.get("recorded_supercell"),
        )

    def source(self, reference: RecordedReference) -> Source:
        """Return the data set that holds the labels."""
        return reference.source


KIND = Recorded()
