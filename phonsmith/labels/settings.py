"""Settings of labelling, and of recorded labels."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from phonsmith.files.settings import Model


class Labels(Model):
    """Runs of the reference method, and requirements on labels."""

    batches_per_structure: Annotated[int, Field(ge=1, le=1000)] = Field(
        1,
        description="Jobs per structure and generation, and per relabelled database: cell i "
        "belongs to job i modulo this number.",
    )
    side_by_side: PositiveInt = Field(
        1, description="Concurrent runs of a DFT code in one job; each run has its own cores."
    )
    runtime_minutes: PositiveInt | None = Field(
        None,
        description="Time limit of a cluster job, increased after a timeout. Default: the estimate "
        "of the cost model, as in the plan, or 480 without an estimate.",
    )
    min_label_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.95,
        description="The campaign continues without failed labels if at least this fraction of the "
        "cells of a generation, or all cells but one, are labelled; otherwise it stops with a "
        "summary. 1: all cells need a label.",
    )
    max_force_sum_ev_per_angstrom: Annotated[float, Field(gt=0, le=5)] = Field(
        0.05, description="Largest sum of the forces of a cell, per component."
    )
    max_energy_spread_ev_per_atom: Annotated[float, Field(gt=0, le=1000)] = Field(
        10.0, description="Largest difference between energies per atom of a structure."
    )


class ExtxyzKeys(Model):
    """Keys of the labels in an extxyz file; needed only for unusual spellings."""

    energy: str | None = Field(
        None,
        min_length=1,
        description="Key of the energy in eV, e.g. `dft_energy`. Default: `REF_energy`, otherwise "
        "a usual spelling: with the name of a code or functional (`dft_energy`, `energy_pbe`), or "
        "ASE's `free_energy` and `energy`. `none`: omit energies.",
    )
    forces: str | None = Field(
        None,
        min_length=1,
        description="Column of the forces in eV/Å, e.g. `dft_force`; default: as for `energy`.",
    )
    stress: str | None = Field(
        None,
        min_length=1,
        description="Key of the stress in eV/Å³ with ASE's sign: nine numbers, or six in the order "
        "xx yy zz yz xz xy; default: as for `energy`. `none`: omit stresses.",
    )
    virial: str | None = Field(
        None,
        min_length=1,
        description="Key of the virial in eV, nine numbers, stress = -virial/volume; default: as "
        "for `energy`. `none`: omit virials.",
    )
    isolated_atom: str | None = Field(
        None,
        pattern=r"^[^=\s]+=\S.*$",
        description="Mark of isolated atoms, as `KEY=VALUE`, e.g. `config_type=atom`. Default: the "
        "config type `IsolatedAtom` in any spelling, or a single atom with periodic images at 9 Å "
        "or more.",
    )

    @model_validator(mode="after")
    def _one_stress(self) -> Self:
        given = [key for key in (self.stress, self.virial) if key not in (None, "none")]
        if len(given) > 1:
            raise ValueError("`stress` and `virial` exclude each other: give one")
        return self


def check_keys(keys: ExtxyzKeys | None, format: str) -> None:
    """Refuse ``keys`` for formats with fixed keys."""
    if keys is not None and format != "extxyz":
        raise ValueError(f"keys: only `format: extxyz` has keys to choose; this is {format}")


AllowMixed = Annotated[
    bool,
    Field(
        description="Combine VASP or Quantum ESPRESSO runs whose output reports different "
        "functionals, cutoffs, pseudopotentials, Hubbard U, spin or k-points as one level of "
        "theory; false refuses such a set.",
    ),
]
