"""Stillinger and Weber's silicon, Phys. Rev. B 31, 5262 (1985), by matscipy."""

from typing import Any

from ase.calculators.calculator import BaseCalculator

from phonsmith.potentials.settings import PotentialSource


def _parameters(source: PotentialSource) -> dict[str, Any]:
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
        Stillinger_Weber_PRB_31_5262_Si as SILICON,
    )

    return {**SILICON, **source.arguments}


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator; arguments replace single parameters."""
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import StillingerWeber

    return Manybody(**StillingerWeber(_parameters(source)))


def elements(source: PotentialSource) -> frozenset[str]:
    """Silicon."""
    return frozenset({"Si"})


def check_model(source: PotentialSource) -> None:
    """Accept: it has no model file."""


def check_arguments(source: PotentialSource) -> None:
    """Accept: no argument loads a file."""
