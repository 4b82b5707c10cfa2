"""Consistency of applications. Each rule yields a line for each problem."""

from collections.abc import Iterator

from phonsmith.campaign.data import CampaignData
from phonsmith.files.problems import nearest
from phonsmith.transitions.settings import Transition


def applications_have_a_method(campaign: CampaignData) -> Iterator[str]:
    """Whether something can compute the applications."""
    if campaign.recorded is None or campaign.fits:
        return
    asked = []
    if campaign.thermodynamics is not None and not campaign.has_volumes:
        asked.append("thermodynamics")
    if any(
        one.driven_by == "pressure" or not campaign.has_volumes
        for one in campaign.transitions.values()
    ):
        asked.append("transitions")
    if campaign.conductivity is not None and not campaign.has_third_order:
        asked.append("conductivity")
    if asked:
        more = "; give recorded_volumes of a crystal" * (asked[0] == "thermodynamics")
        yield (f"{asked[0]}: recorded data cannot compute it, and this campaign has no fits{more}")


def thermodynamics(campaign: CampaignData) -> Iterator[str]:
    """Thermodynamics is of crystals at rest whose phonons are compared."""
    for name, structure in campaign.structures.items():
        if structure.recorded_volumes and name not in campaign.warmed:
            yield (
                f"structures.{name}.recorded_volumes: only `thermodynamics` uses them; add "
                "this section, or the crystal to its `structures`"
            )
    for name in campaign.warmed:
        if name not in campaign.at_rest:
            yield (
                f"thermodynamics.structures: '{name}' is no crystal at its own volume whose "
                f"phonons are compared{nearest(name, campaign.at_rest)}"
            )


def transitions(campaign: CampaignData) -> Iterator[str]:
    """Transitions are between crystals at rest, and their free energies are computed."""
    for name, one in campaign.transitions.items():
        for structure in one.structures:
            if structure not in campaign.at_rest:
                yield (
                    f"transitions.{name}.structures: '{structure}' is no crystal at its own "
                    f"volume whose phonons are compared{nearest(structure, campaign.at_rest)}"
                )
        if one.driven_by == "temperature" or one.temperatures_kelvin:
            yield from _thermodynamics_of(campaign, name, one)
        if one.driven_by == "pressure" and not campaign.reference.relaxes_volume():
            yield (f"transitions.{name}: relaxation under pressure needs reference.volume: relaxed")


def _thermodynamics_of(campaign: CampaignData, name: str, one: Transition) -> Iterator[str]:
    """Whether the free energies that a transition compares are computed."""
    where = f"transitions.{name}"
    if campaign.thermodynamics is None:
        yield f"{where}: needs `thermodynamics`, but the campaign has no such section"
        return
    for structure in one.structures:
        if structure not in campaign.warmed:
            yield (f"{where}.structures: '{structure}' is none of thermodynamics.structures")
    thermal = campaign.thermodynamics
    if one.driven_by == "temperature":
        known = thermal.pressures_gpa if thermal.quasi_harmonic else [0.0]
        if one.pressure_gpa not in known:
            told = ", ".join(f"{pressure:g}" for pressure in known)
            yield (f"{where}.pressure_gpa: thermodynamics has {told} GPa, not {one.pressure_gpa:g}")
        return
    if not thermal.quasi_harmonic or len(thermal.pressures_gpa) < 2:
        yield (
            f"{where}.temperatures_kelvin: needs quasi-harmonic thermodynamics at several pressures"
        )
    for kelvin in one.temperatures_kelvin:
        steps = kelvin / thermal.temperature_step_kelvin
        if kelvin > thermal.max_temperature_kelvin or abs(steps - round(steps)) > 1e-6:
            yield (f"{where}.temperatures_kelvin: {kelvin:g} is none of thermodynamics'")


def conductivity(campaign: CampaignData) -> Iterator[str]:
    """Conductivity is of crystals whose phonons are compared, with their own masses or isotopes."""
    if campaign.conductivity is None:
        return
    for name in campaign.conducting:
        if name not in campaign.benchmarked:
            yield (
                f"conductivity.structures: '{name}' is no crystal whose phonons are compared"
                f"{nearest(name, campaign.benchmarked)}"
            )
    for name in campaign.conducting:
        own = name in campaign.structures and campaign.structures[name].masses
        if own and True in campaign.conductivity.isotopes:
            yield (
                f"conductivity.isotopes: natural isotopes do not scatter in '{name}', which "
                "has masses of its own; set [false]"
            )
    for one in campaign.conductivity.published:
        if one.structure not in campaign.conducting:
            yield (
                f"conductivity.published: there is no κ of '{one.structure}' here"
                f"{nearest(one.structure, campaign.conducting)}"
            )
