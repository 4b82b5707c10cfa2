"""Settings of an existing interatomic potential."""

import re
from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from phonsmith.files.elements import Element
from phonsmith.files.settings import File, Model, Name, Sha256
from phonsmith.potentials.ready import NAMES, READY


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of all texts in plain data, including keys."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield where, str(key)
            yield from _texts(f"{where}.{key}", below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(where, below)


def _is_plain(value: Any) -> bool:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    plain = isinstance(value, str | int | float | bool | None | list | dict)
    return plain and all(map(_is_plain, below))


def _is_device(name: str, value: Any) -> bool:
    """Return whether an argument sets the device of a calculator, which does not affect results."""
    if name == "check_cuda_mem":
        return isinstance(value, bool)
    words = r"auto|cpu|cuda(:\d+)?|mps|xpu(:\d+)?"
    return name in ("device", "use_device") and bool(re.fullmatch(words, str(value)))


def _loads_nothing(name: str, value: Any) -> bool:
    """Return whether a text is a device or a precision."""
    precision = name in ("dtype", "default_dtype") and value in ("float32", "float64")
    return precision or _is_device(name, value)


class PotentialSource(Model):
    """An existing interatomic potential, as an ASE calculator."""

    calculator: str = Field(
        description="`stillinger-weber`, `chgnet`, `sevennet`, `gap`, `mace`, `mtp`, `polymlp`, "
        "`pod`, or the import path `package.module:Class` of any ASE calculator (with `trust`, "
        "`package.module:function`)."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the calculator."
    )
    model: File | None = Field(
        None,
        description="Model file of `gap` (xml), `mace` (model), `mtp` (mtp), `polymlp` "
        "(yaml), `pod` (NAME_coefficients.pod, with NAME_param.pod beside it) or `sevennet` (pth), "
        "relative to the project; for `sevennet` also the name of a model in its package: "
        "`7net-l3i5`, `7net-0` or `7net-mf-0`.",
    )
    sha256: Sha256 | None = Field(
        None,
        description="Checksum of `model`, or of the single file named in `arguments`; verified "
        "before the file is loaded.",
    )
    files: dict[File, Sha256] = Field(
        default_factory=dict,
        description="Files named in `arguments`, spelled as there, with the SHA-256 of each file.",
    )
    trust: bool = Field(
        False,
        description="Load `model` and files named in `arguments` without a checksum. A model file "
        "(except of `gap`, `polymlp` and `pod`) can contain code that runs on loading; models "
        "trained by this pipeline need neither checksum nor `trust`. `trust` also allows a "
        "function that returns a calculator in `calculator`. Texts in `arguments`, other than "
        "devices and precisions, need `files` or `trust`. Files in a folder named in an argument "
        "are not tracked: changing them reruns nothing.",
    )
    origin: str | None = Field(
        None,
        min_length=1,
        description="Where to obtain `model`, in words or as an address: printed if the file is "
        "missing. Nothing is downloaded.",
    )
    elements: list[Element] | None = Field(
        None, description="Supported elements; needed only if the calculator does not report them."
    )
    environment: Name | None = Field(
        None,
        description="Environment in which the calculator computes, by the name of its file "
        "`envs/NAME.txt`; default: that of phonsmith; `sevennet`, `polymlp` "
        "and `pod` have their own.",
    )

    @property
    def computes_in(self) -> str | None:
        """Return the environment in which it computes; None for that of phonsmith."""
        ready = READY.get(self.calculator)
        return self.environment or (ready.environment if ready else None)

    @property
    def model_file(self) -> str | None:
        """Return the model if it is a file."""
        ready = READY.get(self.calculator)
        return None if ready and self.model in ready.models else self.model

    @property
    def level_of_theory(self) -> str:
        """Return the calculator, and the model if selected by name."""
        named = self.model if self.model_file is None else None
        return f"{self.calculator} {named}" if named else self.calculator

    @property
    def takes_gpu(self) -> bool:
        """Return whether it uses a GPU if available."""
        ready = READY.get(self.calculator)
        return ready is not None and ready.gpu and self.arguments.get("device") != "cpu"

    @property
    def seconds_per_atom(self) -> float | None:
        """Return core seconds of energy, forces and stress per atom; None if unknown."""
        ready = READY.get(self.calculator)
        return ready.models.get(self.model or "", ready.seconds_per_atom) if ready else None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ready = READY.get(self.calculator)
        if ready is None and not re.fullmatch(r"\w[\w.]*:\w+", self.calculator):
            raise ValueError(
                f"calculator '{self.calculator}' is unknown; allowed are {', '.join(NAMES)} "
                "or an import path package.module:Class"
            )
        if ready and ready.has_model and not ready.models and self.model is None:
            raise ValueError(
                f"calculator '{self.calculator}' requires `model`, the path of its file"
            )
        is_path = re.search(r"/|\.pth$", self.model or "")
        if ready and ready.models and self.model not in ready.models and not is_path:
            raise ValueError(
                f"calculator '{self.calculator}': `model` must be one of "
                f"{', '.join(ready.models)} or the path of a checkpoint (with / or .pth); found "
                f"{self.model or 'none'}"
            )
        if ready and not ready.has_model and self.model is not None:
            raise ValueError(f"calculator '{self.calculator}' contains its model; remove `model`")
        if ready and self.environment and not ready.environment:
            raise ValueError(
                f"calculator '{self.calculator}' computes in phonsmith's environment; remove "
                "`environment`, or give the import path of a class in that environment"
            )
        self._check_arguments()
        return self

    def _check_arguments(self) -> None:
        if not _is_plain(self.arguments):
            raise ValueError("arguments: only texts, numbers, lists and mappings are allowed")
        named = {text for _, text in self.texts}
        for file in self.files:
            if file not in named:
                raise ValueError(f"files: {file} is not named in `arguments` of the calculator")
            if re.search(r"[*?\[\]$]|^~", file):
                raise ValueError(f"files: {file}: give the path of one file, without * ? [ ] $ ~")

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Yield (argument, text) of all texts that a calculator may load as a file or by name."""
        if self.calculator in READY:
            return []
        return [
            text
            for name, value in self.arguments.items()
            if not _loads_nothing(name, value)
            for text in _texts(name, value)
        ]

    def physics(self) -> dict[str, Any]:
        """Return the settings that results depend on, as plain JSON: without trust and device."""
        content = self.model_dump(mode="json", exclude={"trust", "origin"})
        content["arguments"] = self.arguments_of_results
        return content

    @property
    def arguments_of_results(self) -> dict[str, Any]:
        """Return the arguments without the device."""
        return {key: value for key, value in self.arguments.items() if not _is_device(key, value)}

    @property
    def pickled(self) -> bool:
        """Return whether loading the model file can execute code in it."""
        ready = READY.get(self.calculator)
        return self.model_file is not None and (ready is None or ready.pickled)

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit `trust`, `files`, `origin` and `environment` if they are not set.

        Results of campaigns older than these keys remain valid.
        """
        content: dict[str, Any] = dump(self)
        if not self.trust:
            content.pop("trust", None)
        if not self.files:
            content.pop("files", None)
        if self.origin is None:
            content.pop("origin", None)
        if self.environment is None:
            content.pop("environment", None)
        return content
