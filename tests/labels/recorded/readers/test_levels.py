"""Levels of theory of recorded runs: one for a set, and the one that is stated."""

from pathlib import Path

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.recorded.readers.levels import (
    Level,
    additions,
    contradiction,
    functional_of,
    mixture,
)
from phonsmith.labels.recorded.readers.vasp_run import Run, element_of
from phonsmith.labels.recorded.reading import read_recorded


def run(titles: tuple[str, ...] = ("PAW_PBE Fe_pv", "PAW_PBE O"), **settings: str) -> Run:
    species = [element_of("", title) for title in titles]
    return Run("6.4", settings, species, [2] * len(titles), list(titles), [8.0] * len(titles))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "PBE"),
        ({"GGA": "--"}, "PBE"),
        ({"GGA": "PS"}, "PBEsol"),
        ({"GGA": "PE", "METAGGA": "R2SCAN"}, "R2SCAN"),
        ({"GGA": "PE", "METAGGA": "F"}, "PBE"),
        ({"LHFCALC": "T", "AEXX": "0.25", "HFSCREEN": "0.2"}, "HSE06"),
        ({"LHFCALC": "T", "AEXX": "0.25", "HFSCREEN": "0.0"}, "PBE0"),
        ({"LHFCALC": "T", "AEXX": "0.1", "HFSCREEN": "0.2"}, "PBE hybrid (AEXX 0.1, HFSCREEN 0.2)"),
        ({"IVDW": "12"}, "PBE + dispersion (IVDW 12)"),
        ({"LDAU": "T", "LDAUL": "2 -1", "LDAUU": "4.0 0.0", "LDAUJ": "0 0"}, "PBE + U"),
        ({"LDAU": "T", "LDAUL": "-1 -1", "LDAUU": "4.0 0.0", "LDAUJ": "0 0"}, "PBE"),
    ],
)
def test_functionals_by_name(settings: dict[str, str], name: str) -> None:
    assert functional_of(run(**settings)) == name


def test_functional_of_the_potcar() -> None:
    assert functional_of(run(("PAW Si 02Apr1999",))) == "LDA"
    assert functional_of(run(("PAW_GGA Si 02Apr1999",))) == "PW91"


def test_sets_of_one_level_are_not_refused(shared_data: Path) -> None:
    """With a spin-polarised or Γ-point isolated atom, other meshes by strain, other cells."""
    folder = shared_data / "sn-alpha-vasp"
    assert len(read_recorded(folder, "vasprun", "sn", "VASP PBE").frames) == 16


@pytest.mark.parametrize(
    ("stated", "functional", "words"),
    [
        ("VASP PBE", "PBE", ""),
        ("VASP PBE", "PBEsol", "the functional is PBEsol"),
        ("VASP PBEsol, 520 eV", "PBE", "the functional is PBE"),
        ("vasp pbe+U", "PBE + U", ""),
        ("PBE-D3(BJ), VASP 6.3", "PBE + dispersion (IVDW 12)", ""),
        ("VASP HSE06", "PBE", "the functional is PBE"),
        ("CASTEP PW91", "PW91", "the code is VASP"),
        ("our data of 2019", "PBE", ""),
        ("recorded", "PBE", ""),
    ],
)
def test_a_stated_level_that_the_runs_contradict(stated: str, functional: str, words: str) -> None:
    assert contradiction(stated, Level("VASP", functional)) == words


def test_what_the_stated_level_does_not_name() -> None:
    assert additions("VASP PBE", Level("VASP", "PBE + U")) == "a Hubbard U"
    assert additions("VASP PBE+U", Level("VASP", "PBE + U")) == ""


def test_a_contradiction_is_refused(shared_data: Path) -> None:
    folder = shared_data / "sn-alpha-vasp"
    with pytest.raises(
        PhonsmithError, match="level_of_theory is 'VASP PBEsol', but the functional is PBE"
    ):
        read_recorded(
            folder / "dft_rattle_static_1_1_mp-117_1.0_0_65", "vasprun", "sn", "VASP PBEsol"
        )


def test_hubbard_u_goes_by_the_element() -> None:
    one = Level("VASP", "PBE + U", by_element={"Fe": {"the Hubbard U": "l = 2, U = 4, J = 0 eV"}})
    other = Level("VASP", "PBE + U", by_element={"Fe": {"the Hubbard U": "l = 2, U = 5, J = 0 eV"}})
    words = mixture([("a", one), ("b", other)])
    assert words.startswith("the Hubbard U of Fe is l = 2, U = 4")
    assert mixture([("a", one), ("b", one)]) == mixture([]) == ""
