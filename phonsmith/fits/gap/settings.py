"""Settings of a GAP."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from phonsmith.files.quantities import Cutoff, EnergyError, ForceError
from phonsmith.files.settings import Kind, Model
from phonsmith.fits.settings import FitBase, FitResources, TrainedFit, refuse_places


class TwoBody(Model):
    """Pair descriptor of GAP (distance_2b)."""

    cutoff_angstrom: Cutoff = Field(5.0, description="Cutoff radius.")
    n_sparse: PositiveInt = Field(15, description="Sparse points, uniform in distance.")
    delta_ev: PositiveFloat = Field(2.0, description="Prior standard deviation of the energy.")
    theta_uniform_angstrom: PositiveFloat = Field(1.0, description="Length scale.")


class ThreeBody(Model):
    """Triplet descriptor of GAP (angle_3b)."""

    cutoff_angstrom: Cutoff = Field(3.5, description="Cutoff radius.")
    n_sparse: PositiveInt = Field(200, description="Sparse points, uniform.")
    delta_ev: PositiveFloat = Field(1.0, description="Prior standard deviation of the energy.")
    theta_uniform_angstrom: PositiveFloat = Field(1.0, description="Length scale.")


class Soap(Model):
    """Many-body descriptor of GAP."""

    cutoff_angstrom: Cutoff = Field(6.0, description="Cutoff radius.")
    cutoff_transition_angstrom: PositiveFloat = Field(1.0, description="Width of the cutoff.")
    atom_sigma_angstrom: Annotated[float, Field(ge=0.05, le=3)] = Field(
        0.5, description="Width of the atomic densities."
    )
    n_max: PositiveInt = Field(
        10,
        description="Number of radial functions. Memory grows with the square of n_max times the "
        "number of elements.",
    )
    l_max: NonNegativeInt = Field(6, description="Largest angular momentum.")
    zeta: PositiveInt = Field(4, description="Exponent of the dot-product kernel.")
    delta_ev: PositiveFloat = Field(1.0, description="Prior standard deviation of the energy.")
    n_sparse: PositiveInt = Field(
        1000, description="Total number of sparse points, divided equally among the elements."
    )
    sparse_method: Literal["cur_points", "random", "pivot"] = Field(
        "cur_points", description="Method of gap_fit to choose sparse points."
    )
    sparse_from: Literal["training", "rattled"] = Field(
        "rattled",
        description="Environments for the choice of sparse points. `training`: the training cells. "
        "`rattled`: rattled copies replace displaced and constraint cells, whose environments are "
        "nearly identical. The copies have no labels. Without displaced and constraint cells, "
        "both choices are equivalent.",
    )
    sparse_rattle_std_angstrom: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Standard deviation of the displacements in these copies."
    )
    share_sparse: Literal["all", "kind", "structure"] = Field(
        "all",
        description="Choose `n_sparse` from all environments together (`all`), or divide it "
        "equally among kinds or structures.",
    )
    n_sparse_by_group: dict[str, PositiveInt] | None = Field(
        None,
        description="Sparse points by config type, structure or kind; replaces `n_sparse`.",
    )

    @property
    def sparse_points(self) -> int:
        """Total number of sparse points."""
        return sum((self.n_sparse_by_group or {"all": self.n_sparse}).values())


class Sigma(Model):
    """Regularisation of GAP: expected errors of the data."""

    energy_ev_per_atom: EnergyError = Field(1e-3, description="Energies.")
    force_ev_per_angstrom: ForceError = Field(3e-3, description="Force components.")
    virial_ev_per_atom: EnergyError = Field(1e-3, description="Virials.")


class ForceProportional(Model):
    """σ of the force on each atom: f·max(|F|, F_min) (George et al. 2020, equation 8)."""

    factor: PositiveFloat = Field(1e-4, description="f, dimensionless.")
    minimum_force_ev_per_angstrom: PositiveFloat = Field(0.1, description="F_min.")
    kinds: list[Kind] = Field(
        ["displaced"], min_length=1, description="Kinds of cells that use it."
    )


Purpose = Literal["phonons", "conductivity"]

PURPOSES: Mapping[Purpose, Mapping[str, Mapping[str, Any]]] = {
    "phonons": {},
    "conductivity": {"soap": {"l_max": 8}},
}
"""Defaults of each purpose that differ from those of ``phonons``: section, key, value."""


def _in_words(defaults: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(
        f"`{section}.{key}` to {value:g}"
        for section, values in defaults.items()
        for key, value in values.items()
    )


class GapFit(TrainedFit):
    """Gaussian approximation potential."""

    NOT_RESULT: ClassVar[dict[str, Any]] = {**FitBase.NOT_RESULT, "purpose": True}

    kind: Literal["gap"] = Field(description="Kind of fit.")
    purpose: Purpose = Field(
        "phonons",
        description="What the defaults are made for. `conductivity` changes "
        f"{_in_words(PURPOSES['conductivity'])}. Stated values always apply.",
    )
    fitter: Literal["phonsmith", "gap_fit"] = Field(
        "phonsmith",
        description="Program that fits. `phonsmith` solves the equations of gap_fit with all "
        "`threads`. Their forces differ by gap_fit's rounding errors, some 1e-6 eV/Å at most.",
    )
    resources: FitResources = FitResources(memory_mb=4000)
    two_body: TwoBody | None = TwoBody()
    three_body: ThreeBody | None = None
    soap: Soap | None = Soap()
    sigma: Sigma = Sigma()
    sigma_by_group: dict[str, Sigma] = Field(
        default_factory=dict,
        description="Sigmas by config type, structure or kind; the most specific entry applies.",
    )
    force_proportional: ForceProportional | None = Field(
        ForceProportional(),
        description="Expected force errors of displaced cells, proportional to the force. If this "
        "key is absent and `sigma` or `sigma_by_group` set a force error, it is null, and that "
        "force error applies to all cells.",
    )
    balance_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.75,
        description="Exponent: the force sigmas of displaced cells are multiplied by (n / m) to "
        "this power, where n is the number of displaced cells of the structure, and m the smallest "
        "such number in the training set. It balances crystals of high symmetry, with one or two "
        "displaced cells, against crystals with twenty; it does nothing for a single crystal.",
    )
    sparse_jitter: PositiveFloat = Field(1e-8, description="gap_fit's sparse_jitter.")
    extra_arguments: dict[str, str | int | float] = Field(
        default_factory=dict,
        description="Further `keyword=value` arguments of gap_fit; needs `fitter: gap_fit`.",
    )

    @property
    def reach_angstrom(self) -> tuple[float, float]:
        """Shortest and longest distance of atoms that it describes."""
        descriptors = (self.two_body, self.three_body, self.soap)
        return 0.0, max(one.cutoff_angstrom for one in descriptors if one is not None)

    def sparse_points(self) -> int | None:
        """Sparse points of SOAP; None without it."""
        return self.soap.sparse_points if self.soap else None

    @model_validator(mode="wrap")
    @classmethod
    def _defaults_of_purpose(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Use the defaults of the purpose for what is not stated; they do not count as stated."""
        if not isinstance(given, dict) or given.get("purpose") not in [*PURPOSES]:
            return handler(given)
        completed, added = dict(given), {}
        for section, defaults in PURPOSES[given["purpose"]].items():
            stated = given.get(section, {})
            if isinstance(stated, Model):
                stated = stated.model_dump(exclude_unset=True)
            if isinstance(stated, dict):
                completed[section] = {**defaults, **stated}
                added[section] = defaults.keys() - stated.keys()
        fit = handler(completed)
        for section, keys in added.items():
            getattr(fit, section).model_fields_set.difference_update(keys)
            if section not in given:
                fit.model_fields_set.discard(section)
        return fit

    @model_validator(mode="before")
    @classmethod
    def _stated_sigma(cls, given: Any) -> Any:
        """Prevent the default from overriding explicit force errors."""
        if not isinstance(given, dict) or "force_proportional" in given:
            return given
        groups = given.get("sigma_by_group") or {}
        stated = [given.get("sigma"), *(groups.values() if isinstance(groups, dict) else [])]
        keys = {
            key
            for sigma in stated
            if isinstance(sigma, Sigma | dict)  # anything else is refused as a field
            for key in (sigma.model_fields_set if isinstance(sigma, Sigma) else sigma)
        }
        if "force_ev_per_angstrom" in keys:
            return {**given, "force_proportional": None}
        return given

    @model_serializer(mode="wrap")
    def _unambiguous(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Include what its absence would change.

        These are `force_proportional` next to an explicit sigma, and values that equal a general
        default where the purpose has another one.
        """
        content: dict[str, Any] = dump(self)
        if info.exclude_defaults:
            for section, defaults in PURPOSES[self.purpose].items():
                if (settings := getattr(self, section)) is not None:
                    values = {key: getattr(settings, key) for key in defaults}
                    content[section] = {**content.get(section, {}), **values}
        if "sigma" in content or "sigma_by_group" in content:
            settings = self.force_proportional
            content["force_proportional"] = settings.model_dump() if settings else None
        return content

    @model_validator(mode="after")
    def _has_descriptor(self) -> Self:
        if self.two_body is None and self.three_body is None and self.soap is None:
            raise ValueError("a GAP requires at least one of two_body, three_body and soap")
        refuse_places(self.extra_arguments, _GAP_PLACES)
        if self.extra_arguments and self.fitter != "gap_fit":
            raise ValueError("extra_arguments are used by gap_fit only; set `fitter: gap_fit`")
        return self


PARTS = 8
"""Parts of the cells, each with a triangle of its own, in phonsmith's fitter. A fixed number: the
potential does not depend on the number of processes."""
BLOCK_ROWS = 2048
"""Rows of the linear system that are eliminated together, at least."""
BATCH_MB = 60.0
"""Gradients of descriptors that are computed together."""

_GAP_PLACES = frozenset(
    (
        *("at_file", "atoms_filename", "gp_file", "gap_file", "config_file", "template_file"),
        *("do_copy_at_file", "do_copy_atoms_file", "sparse_separate_file"),
        "linear_system_dump_file",
    )
)
