"""The reference method of a campaign, made from its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import DEFAULT_PLACES, Places
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.kind import Occasion
from phonsmith.labels.protocol import Allocation, ReferenceMethod
from phonsmith.labels.registry import Reference, method_kind
from phonsmith.potentials.calculators import Potential, load_potential

if TYPE_CHECKING:
    from phonsmith.labels.calculator.method import CalculatorMethod


def reference_method(
    reference: Reference | dict[str, Any],
    *,
    recorded: str | list[str] | None = None,
    places: Places = DEFAULT_PLACES,
    crystal: str | None = None,
    recorded_as: Mapping[str, Any] | None = None,
    structure: str | None = None,
    allocation: Allocation | None = None,
) -> ReferenceMethod:
    """Build the reference method of a campaign.

    Parameters
    ----------
    reference
        Settings of the reference method.
    recorded
        Recorded data: files of the crystal in its data set.
    places
        Recorded data: mirrors and cache.
    crystal
        Recorded data: file of the crystal if the data set does not hold it.
    recorded_as
        Recorded data: settings of the crystal (``recorded_format``, ``recorded_supercell``).
    structure
        DFT codes: id of the crystal, which may have settings of its own.
    allocation
        DFT codes: cores, working folder, number of the attempt and time limit of the job.
    """
    checked: Reference = TypeAdapter(Reference).validate_python(reference)
    occasion = Occasion(
        allocation=allocation or Allocation(),
        structure=structure,
        recorded=recorded,
        places=places,
        crystal=crystal,
        recorded_as=recorded_as or {},
    )
    return method_kind(checked).make(checked, occasion)


def fitted_method(potential: Potential) -> ReferenceMethod:
    """Use a fitted potential as a reference method: it labels and relaxes."""
    from phonsmith.labels.calculator.method import CalculatorMethod

    return CalculatorMethod(CalculatorReference(method="calculator", potential=potential.source))


def potential_method(
    reference: Reference | dict[str, Any], potential: str | Path | None
) -> "CalculatorMethod":
    """Build the potential that is the reference method, or a fit in its place.

    Parameters
    ----------
    reference
        Settings of the reference method.
    potential
        ``potential.json`` of the fit; empty or None for the reference method.

    Raises
    ------
    PhonsmithError
        The reference method is not a potential.
    """
    from phonsmith.labels.calculator.method import CalculatorMethod

    method = fitted_method(load_potential(potential)) if potential else reference_method(reference)
    if not isinstance(method, CalculatorMethod):
        raise PhonsmithError("molecular dynamics needs a potential as reference method")
    return method


def reference_or_fit(
    reference: Reference | dict[str, Any],
    potential: str | Path | None,
    *,
    structure: str,
    allocation: Allocation,
) -> ReferenceMethod:
    """Build the reference method, or a fit in its place.

    Parameters
    ----------
    reference
        Settings of the reference method.
    potential
        ``potential.json`` of the fit; empty or None for the reference method.
    structure
        Id of the crystal, which may have settings of its own.
    allocation
        Cores, working folder, number of the attempt and time limit of the job.
    """
    if potential:
        return fitted_method(load_potential(potential))
    return reference_method(reference, structure=structure, allocation=allocation)
