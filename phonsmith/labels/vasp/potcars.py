"""POTCAR files: found in the user's own folder by pymatgen, read, and checked.

What leaves this module for results and logs is the title and the checksum alone: POTCARs are
licensed and must not be passed on.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.vasp.settings import VaspReference

if TYPE_CHECKING:
    from pymatgen.io.vasp import PotcarSingle

_MADE_FOR = {"PE": "PBE", "CA": "LDA"}
"""LEXCH of a POTCAR, and the family it belongs to; PBEsol uses those of PBE, with GGA = PS."""


@dataclass(frozen=True)
class PotcarFile:
    """Content of the header of a POTCAR, and the file's checksum.

    ``made_for`` is the functional, PBE or LDA; ``valence`` the number of valence electrons (ZVAL);
    ``enmax_ev`` the cutoff in eV that the file suggests. ``content`` is for the folder of a run
    only.
    """

    element: str
    symbol: str
    title: str
    made_for: str
    valence: float
    enmax_ev: float
    sha256: str
    content: str = field(repr=False)


def potcars_of(reference: VaspReference, elements: Iterable[str]) -> dict[str, PotcarFile]:
    """Return the POTCAR of each element, read and checked.

    Raises
    ------
    PhonsmithError
        PMG_VASP_PSP_DIR is not set; a POTCAR is not named, missing, cut off, of another element or
        made for another functional.
    """
    found = {}
    for element in sorted(set(elements)):
        if element not in reference.potcars:
            raise PhonsmithError(
                f"potcars: no entry for {element}; add one, e.g. `{element}: {element}`"
            )
        folder = _folder(reference.family)
        found[element] = _read(element, reference.potcars[element], reference.family, folder)
        _check_functional(found[element], reference)
    return found


def valence_electrons(reference: VaspReference, elements: Iterable[str]) -> dict[str, float]:
    """Valence electrons of an atom of each element (ZVAL), for the plan; as :func:`potcars_of`."""
    return {element: file.valence for element, file in potcars_of(reference, elements).items()}


def check_cutoff(reference: VaspReference, elements: Iterable[str]) -> None:
    """Check that the cutoff is one for these POTCARs, and not in another unit.

    Raises
    ------
    PhonsmithError
        The cutoff is below three quarters of ENMAX, the ENMIN of VASP's POTCARs.
    """
    if not (files := potcars_of(reference, elements).values()):
        return
    hardest = max(files, key=lambda file: file.enmax_ev)
    if reference.encut_ev < 0.75 * hardest.enmax_ev:
        raise PhonsmithError(
            f"encut_ev: {reference.encut_ev:g} eV is too low for ENMAX of the POTCAR "
            f"{hardest.symbol} ({hardest.enmax_ev:.0f} eV); set at least ENMAX, and 1.3 times "
            "ENMAX for relaxations"
        )


def _folder(family: str) -> str:
    from pymatgen.core import SETTINGS
    from pymatgen.io.vasp import PotcarSingle

    folder = SETTINGS.get("PMG_VASP_PSP_DIR")
    if not folder:
        raise PhonsmithError(
            "potcars: PMG_VASP_PSP_DIR is not set; set it, in the environment or in "
            "~/.config/.pmgrc.yaml, to the folder that contains "
            f"{PotcarSingle.functional_dir[family]}/ (docs/dft-vasp.md)"
        )
    if not os.path.isdir(folder):  # noqa: PTH112 - as pymatgen takes it
        raise PhonsmithError(f"potcars: no folder {folder}; correct PMG_VASP_PSP_DIR")
    return str(folder)


@cache
def _read(element: str, symbol: str, family: str, folder: str) -> PotcarFile:
    from pymatgen.io.vasp import PotcarSingle

    where = f"potcars.{element}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # releases newer than pymatgen's list are fine
            one = PotcarSingle.from_symbol_and_functional(symbol, family)
    except FileNotFoundError:
        place = f"{folder}/{PotcarSingle.functional_dir[family]}"
        raise PhonsmithError(
            f"{where}: no POTCAR {symbol} of {family}; looked for {place}/POTCAR.{symbol} and "
            f"{place}/{symbol}/POTCAR, also compressed"
        ) from None
    except Exception as error:  # a file that is none ends in many ways
        raise PhonsmithError(
            f"{where}: the POTCAR {symbol} of {family} cannot be read ({type(error).__name__})"
        ) from None
    return _checked(one, element, symbol, where)


def _checked(one: "PotcarSingle", element: str, symbol: str, where: str) -> PotcarFile:
    if not one.data.rstrip().endswith("End of Dataset"):
        raise PhonsmithError(f"{where}: the POTCAR {symbol} is cut off, its end is missing")
    try:
        file = PotcarFile(
            element=one.element,
            symbol=symbol,
            title=one.keywords["TITEL"],
            made_for=_MADE_FOR.get(one.keywords["LEXCH"].upper(), one.keywords["LEXCH"]),
            valence=float(one.keywords["ZVAL"]),
            enmax_ev=float(one.keywords["ENMAX"]),
            sha256=hashlib.sha256(one.data.encode()).hexdigest(),
            content=one.data,
        )
    except (KeyError, ValueError) as error:
        raise PhonsmithError(
            f"{where}: the header of the POTCAR {symbol} cannot be read ({error})"
        ) from None
    if file.element != element:
        raise PhonsmithError(f"{where}: the POTCAR {symbol} is one of {file.element}")
    return file


def _check_functional(file: PotcarFile, reference: VaspReference) -> None:
    wanted = "LDA" if reference.functional == "LDA" else "PBE"
    if file.made_for != wanted:
        raise PhonsmithError(
            f"potcars.{file.element}: the POTCAR {file.symbol} is made for {file.made_for}, but "
            f"the functional {reference.functional} requires a POTCAR of {wanted}"
        )
