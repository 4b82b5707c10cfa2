"""Settings of labelling, and of recorded labels."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.settings import Model


class Labels(Model):
    """How the reference method is run, and what a label must fulfil."""

    batches_per_structure: Annotated[int, Field(ge=1, le=1000)] = Field(
        1,
        description="Jobs per structure and generation, and per database that is labelled anew: "
        "cell i goes to job i modulo this.",
    )
    side_by_side: PositiveInt = Field(
        1, description="Runs of a DFT code at the same time in one job; each has its own cores."
    )
    runtime_minutes: PositiveInt | None = Field(
        None,
        description="Time limit of a job on a cluster, more of it after running out of time. By "
        "default from the cost model, as the plan has it, or 480 where that cannot tell.",
    )
    min_label_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.95,
        description="The campaign goes on without labels that failed while at least this share of "
        "a generation's cells has one, or all cells but one, and stops with a summary otherwise; "
        "1: all cells need a label.",
    )
    max_force_sum_ev_per_angstrom: PositiveFloat = Field(
        0.05, description="Forces of a cell must sum to zero within this, per component."
    )
    max_energy_spread_ev_per_atom: PositiveFloat = Field(
        10.0, description="Energies per atom of one structure must lie within this of each other."
    )


class ExtxyzKeys(Model):
    """Which keys of an extxyz file hold the labels; needed where the spelling is unusual."""

    energy: str | None = Field(
        None,
        min_length=1,
        description="Key of the energy in eV, e.g. `dft_energy`. By default `REF_energy`, else a "
        "usual spelling: with the name of a code or functional (`dft_energy`, `energy_pbe`), or "
        "ASE's `free_energy` and `energy`. `none`: omit energies.",
    )
    forces: str | None = Field(
        None,
        min_length=1,
        description="Column of the forces in eV/Å, e.g. `dft_force`; by default as for `energy`.",
    )
    stress: str | None = Field(
        None,
        min_length=1,
        description="Key of the stress in eV/Å³ and ASE's sign: nine numbers, or six in the order "
        "xx yy zz yz xz xy; by default as for `energy`. `none`: omit stresses.",
    )
    virial: str | None = Field(
        None,
        min_length=1,
        description="Key of the virial in eV, nine numbers, stress = -virial/volume; by default "
        "as for `energy`. `none`: omit virials.",
    )
    isolated_atom: str | None = Field(
        None,
        pattern=r"^[^=\s]+=\S.*$",
        description="What marks an isolated atom, as `KEY=VALUE`, e.g. `config_type=atom`. By "
        "default the config type `IsolatedAtom` in any spelling, or one atom whose images are 9 Å "
        "away or further.",
    )

    @model_validator(mode="after")
    def _one_stress(self) -> Self:
        given = [key for key in (self.stress, self.virial) if key not in (None, "none")]
        if len(given) > 1:
            raise ValueError("`stress` and `virial` exclude each other: give one")
        return self


def check_keys(keys: ExtxyzKeys | None, format: str) -> None:
    """Refuse ``keys`` of a format that has fixed ones."""
    if keys is not None and format != "extxyz":
        raise ValueError(f"keys: only `format: extxyz` has keys to choose; this is {format}")


AllowMixed = Annotated[
    bool,
    Field(
        description="Take VASP or Quantum ESPRESSO runs for one level of theory that differ in "
        "functional, cutoff, pseudopotentials, Hubbard U, spin or k-points by their own words; "
        "false refuses such a set.",
    ),
]
