"""Files with the header of a POTCAR and no pseudopotential, for pymatgen to read."""

from pathlib import Path

HEADER = """  PAW_{family} {symbol} {date}
   {valence:.1f}000000000
 parameters from PSCTR are:
   VRHFIN ={element}: made for tests
   LEXCH  = {lexch}
   EATOM  =     1.0000 eV,    0.1000 Ry

   TITEL  = PAW_{family} {symbol} {date}
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        1    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =     .000    partial core radius
   POMASS =  118.710; ZVAL   =   {valence:.3f}    mass and valenz
   RCORE  =    2.500    outmost cutoff radius
   RWIGS  =    2.960; RWIGS  =    1.566    wigner-seitz radius (au A)
   ENMAX  =  {enmax:.3f}; ENMIN  =  180.812 eV
   LCOR   =        T    correct aug charges
   LPAW   =        T    paw PP
   EAUG   =  500.000
   END of PSCTR-controll parameters
 local part
 {secret}
 End of Dataset
"""

SECRET = "1.2345678 9.8765432"
"""Stands for the licensed part of a POTCAR."""


def write_potcar(folder: Path, symbol: str, **values: object) -> Path:
    """``folder``/POT_GGA_PAW_PBE_54/POTCAR.``symbol``, as PMG_VASP_PSP_DIR wants it."""
    content = {
        "family": "PBE",
        "symbol": symbol,
        "element": symbol.partition("_")[0],
        "date": "06Sep2000",
        "lexch": "PE",
        "valence": 14.0,
        "enmax": 241.083,
        "secret": SECRET,
    } | values
    path = folder / "POT_GGA_PAW_PBE_54" / f"POTCAR.{symbol}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER.format(**content))
    return path
