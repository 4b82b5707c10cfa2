"""Settings of recorded labels."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from phonsmith.files.settings import Source
from phonsmith.labels.reference import ReferenceBase
from phonsmith.labels.settings import AllowMixed, ExtxyzKeys, check_keys
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.settings import RecordedFormat

HOLDS_CRYSTAL = frozenset(("phonopy", "phono3py"))
"""Formats whose files contain the crystal; other formats need a separate crystal file."""

WITH_STRESSES = frozenset(("extxyz", "vasprun", "outcar", "espresso"))
"""Formats whose labels have stresses."""


class RecordedReference(ReferenceBase):
    """Existing labels, from an earlier calculation or a published data set."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        "source": {"url": True},
        "allow_mixed_levels_of_theory": True,
    }

    @property
    def has_stresses(self) -> bool:
        """Whether files of the format hold stresses."""
        return self.format in WITH_STRESSES

    method: Literal["recorded"] = Field(description="Reference method.")
    level_of_theory: str = Field(
        min_length=1,
        description="Code and functional, e.g. `CASTEP PW91`; printed with all results.",
    )
    source: Source
    format: RecordedFormat = Field(
        "phonopy",
        description="Format of the files: `phonopy`, a YAML that contains forces or is next to "
        "FORCE_SETS; `phono3py`, a YAML with FORCES_FC3; `extxyz`; folders of `vasprun` "
        "(vasprun.xml), `outcar` or `espresso` files (pw.x: data-file-schema.xml with the text "
        "output next to it, or the text output alone); `force_sets`, a FORCE_SETS file alone; "
        "`force_constants`, FORCE_CONSTANTS, force_constants.hdf5 or the vasprun.xml of a DFPT "
        "run (IBRION 7 or 8), which give phonons but no training data. `recorded_format` of a "
        "structure overrides it.",
    )
    keys: ExtxyzKeys | None = Field(
        None, description="With `extxyz`: keys of the labels, if not the usual ones."
    )
    allow_mixed_levels_of_theory: AllowMixed = False

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, with the version of the readers, as JSON."""
        return {**super().physics(), "readers": VERSIONS["readers"]}

    def of(self, structure: Mapping[str, Any]) -> Self:
        """Return the reference with the format of a structure (settings as plain data)."""
        named = structure.get("recorded_format")
        keys = self.keys if named in (None, "extxyz") else None
        return self.model_copy(update={"format": named or self.format, "keys": keys})

    @model_validator(mode="after")
    def _keys_of_extxyz(self) -> Self:
        check_keys(self.keys, self.format)
        return self
