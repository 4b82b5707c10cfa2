"""Consistency of applications. Each rule yields a line for each problem."""

from collections.abc import Iterator

from phonsmith.campaign.data import CampaignData
from phonsmith.files.problems import listed, nearest
from phonsmith.transitions.settings import Transition


def applications_have_a_method(campaign: CampaignData) -> Iterator[str]:
    """Whether something can compute the applications."""
    if campaign.recorded is None or campaign.fits:
        return
    asked = []
    if campaign.thermodynamics is not None and not campaign.has_volumes:
        asked.append("thermodynamics")
    if any(
        transition.driven_by == "pressure" or not campaign.has_volumes
        for transition in campaign.transitions.values()
    ):
        asked.append("transitions")
    if campaign.conductivity is not None and not campaign.has_third_order:
        asked.append("conductivity")
    if asked:
        more = ", or recorded_volumes to a crystal" * (asked[0] == "thermodynamics")
        yield (f"{asked[0]}: cannot be computed from recorded data; add fits{more}")


_NOT_AT_REST = "is scaled, or its phonons are not compared (role: test)"


def _unsuited(campaign: CampaignData, structure: str, reason: str) -> str:
    """Return why an application cannot have a structure: there is none, or the reason given."""
    known = [*campaign.structures]
    if structure in known:
        return f"'{structure}' {reason}"
    guess = nearest(structure, known) or ";"
    return f"no structure '{structure}'{guess} structures are {listed(known)}"


def thermodynamics(campaign: CampaignData) -> Iterator[str]:
    """Thermodynamics is of crystals at rest whose phonons are compared."""
    for name, structure in campaign.structures.items():
        if structure.recorded_volumes and name not in campaign.warmed:
            yield (
                f"structures.{name}.recorded_volumes: used by `thermodynamics` only; add this "
                "section, or add the crystal to its `structures`"
            )
    for name in campaign.warmed:
        if name not in campaign.at_rest:
            yield f"thermodynamics.structures: {_unsuited(campaign, name, _NOT_AT_REST)}"


def transitions(campaign: CampaignData) -> Iterator[str]:
    """Transitions are between crystals at rest, and their free energies are computed."""
    for name, transition in campaign.transitions.items():
        for structure in transition.structures:
            if structure not in campaign.at_rest:
                reason = _unsuited(campaign, structure, _NOT_AT_REST)
                yield f"transitions.{name}.structures: {reason}"
        if transition.driven_by == "temperature" or transition.temperatures_kelvin:
            yield from _thermodynamics_of(campaign, name, transition)
        if transition.driven_by == "pressure" and not campaign.reference.relaxes_volume():
            yield (
                f"transitions.{name}: relaxation under pressure requires reference.volume: relaxed"
            )


def _thermodynamics_of(campaign: CampaignData, name: str, transition: Transition) -> Iterator[str]:
    """Whether the free energies that a transition compares are computed."""
    where = f"transitions.{name}"
    if campaign.thermodynamics is None:
        yield f"{where}: requires `thermodynamics`; add this section"
        return
    for structure in transition.structures:
        if structure not in campaign.warmed:
            yield (f"{where}.structures: '{structure}' is not in thermodynamics.structures")
    thermal = campaign.thermodynamics
    if transition.driven_by == "temperature":
        pressures = thermal.pressures_gpa if thermal.quasi_harmonic else [0.0]
        if transition.pressure_gpa not in pressures:
            computed = [f"{pressure:g}" for pressure in pressures]
            yield (
                f"{where}.pressure_gpa: {transition.pressure_gpa:g} is not in "
                f"thermodynamics.pressures_gpa ({listed(computed)})"
            )
        return
    if not thermal.quasi_harmonic or len(thermal.pressures_gpa) < 2:
        yield (
            f"{where}.temperatures_kelvin: requires quasi-harmonic thermodynamics at several "
            "pressures"
        )
    highest, step = thermal.max_temperature_kelvin, thermal.temperature_step_kelvin
    for kelvin in transition.temperatures_kelvin:
        steps = kelvin / step
        if kelvin > highest or abs(steps - round(steps)) > 1e-6:
            yield (
                f"{where}.temperatures_kelvin: {kelvin:g} is not computed by thermodynamics (0 to "
                f"{highest:g} K in steps of {step:g} K)"
            )


def disorder(campaign: CampaignData) -> Iterator[str]:
    """Runs of disordered structures are made by potentials of the campaign."""
    able = [name for name, fits in campaign.groups.items() if fits[0] in campaign.tested]
    for name in (campaign.disorder.fits or ()) if campaign.disorder else ():
        if name not in able:
            yield (
                f"disorder.fits: '{name}' is not a recipe of a potential; allowed are "
                f"{', '.join(able)}{nearest(name, able)}"
            )


def conductivity(campaign: CampaignData) -> Iterator[str]:
    """Conductivity is of crystals whose phonons are compared, with their own masses or isotopes."""
    if campaign.conductivity is None:
        return
    for name in campaign.conducting:
        if name not in campaign.benchmarked:
            reason = _unsuited(campaign, name, "is not a crystal whose phonons are compared")
            yield f"conductivity.structures: {reason}"
    for name in campaign.conducting:
        own = name in campaign.structures and campaign.structures[name].masses
        if own and True in campaign.conductivity.isotopes:
            yield (
                f"conductivity.isotopes: '{name}' has its own `masses`, for which scattering by "
                "natural isotopes is undefined; set [false]"
            )
    random = campaign.conductivity.third_order.way == "fit" or campaign.recorded
    if campaign.conductivity.jackknife_groups and not random and not campaign.without_potential:
        yield (
            "conductivity.jackknife_groups: there are no random third-order cells to leave "
            "out; set `third_order.way: fit`, or remove the key"
        )
    for published in campaign.conductivity.published:
        if published.structure not in campaign.conducting:
            yield (
                f"conductivity.published: '{published.structure}' is not in "
                f"conductivity.structures{nearest(published.structure, campaign.conducting)}"
            )
