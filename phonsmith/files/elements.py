"""Chemical symbols as keys and values of settings."""

from typing import Annotated

from pydantic import AfterValidator

from phonsmith.files.problems import nearest

_PERIODS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb
Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm
Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

SYMBOLS = frozenset(_PERIODS.split())


def _symbol(text: str) -> str:
    if text not in SYMBOLS:
        raise ValueError(f"'{text}' is not the symbol of an element{nearest(text, SYMBOLS)}")
    return text


Element = Annotated[str, AfterValidator(_symbol)]
"""Symbol of an element, in the usual capitals, without charge or number."""
