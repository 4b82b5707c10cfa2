"""Settings of the phonons of the reference method and of fits."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phonsmith.files.settings import CellChoice, Model


class Phonons(Model):
    """Phonons of the reference and of every fit."""

    band_path: Literal["seekpath", "setyawan-curtarolo"] = Field(
        "seekpath",
        description="High-symmetry path, determined once from the reference crystal. "
        "`setyawan-curtarolo` is pymatgen's path, as in the papers.",
    )
    points_per_segment: Annotated[int, Field(ge=2)] = Field(
        51, description="Points between two special points, including both."
    )
    mesh_length_angstrom: Annotated[float, Field(ge=10)] = Field(
        60.0, description="Density of the mesh for the density of states, as phonopy's mesh length."
    )
    cells: list[CellChoice] = Field(
        ["relaxed", "reference"],
        min_length=1,
        description="Cells for the phonons of a fit: relaxed with the fit, or the cell of the "
        "reference.",
    )

    @model_validator(mode="after")
    def _no_cell_twice(self) -> Self:
        if len(set(self.cells)) != len(self.cells):
            raise ValueError("cells contains an entry twice")
        return self
