"""Settings of pw.x runs, from XML file or text: those of no labels, dispersion and smearing.

Both files of a run lead to equal refusals and names. Only the text has the forces of fixed atoms:
pw.x prints them before it sets them to zero for the XML file.
"""

import re
import xml.etree.ElementTree as ET

from ase.units import Hartree, Rydberg

from phonsmith.labels.recorded.readers.pw import RunFailed

_CONSTRAINED = (
    "was run with constrained_magnetization, whose penalty is in its energy; give a run without"
)
_OCCUPIED = "its occupations are those of the input (from_input): no ground state"
_TWO_LEVELS = "has two Fermi levels (twochem): no ground state"
_SOLVENT = "was run in a solvent, which is in its energy; give a run without"
_PULLED = "its forces hold external ones (ATOMIC_FORCES); give a run without"
_ISOLATED = "assume_isolated is for molecules and slabs; give a run of the crystal without"

_IN_XML = (
    ("boundary_conditions/assume_isolated", r"(?!none)\w+", _ISOLATED),
    ("spin_constraints/spin_constraints", r"(?!none)\w+", _CONSTRAINED),
    ("bands/occupations", r"from.input", _OCCUPIED),
    ("control_variables/rism", r"true", _SOLVENT),
    ("twoch_/twochem", r"true", _TWO_LEVELS),
)
"""Elements of the input in the XML file, and their values in runs that are no labels."""

_IN_TEXT = (
    (
        r"Effective Screening Medium|Martyna-Tuckerman method|running with the 2D cutoff|"
        r"Makov-Payne",
        _ISOLATED,
    ),
    (r"constraint energy \(Ryd?\)", _CONSTRAINED),
    (r"Occupations read from input", _OCCUPIED),
    (r"solvation energy \(RISM\)|^\s*Environ Module", _SOLVENT),
    (r"employing two chemical potentials", _TWO_LEVELS),
    (r"External forces energy", _PULLED),
)
"""Lines of the text of runs that are no labels."""


def refuse_xml(root: ET.Element) -> None:
    """Whether the input in the XML file is that of a label.

    Raises
    ------
    RunFailed
        It is no ground state of the crystal, or its forces are not those of the electrons alone.
    """
    for path, pattern, reason in _IN_XML:
        if re.match(pattern, _words(root, path)):
            raise RunFailed("input", reason)
    if "0" in _words(root, "free_positions").split():
        raise RunFailed(
            "input",
            "holds zeros for the forces of atoms that were fixed (0 behind their positions); "
            "remove the XML file and give the text output, which has them, or run without",
        )
    if any(float(word) for word in _words(root, "external_atomic_forces").split()):
        raise RunFailed("input", _PULLED)
    if _words(root, "ion_control/remove_rigid_rot") == "true":
        raise RunFailed("input", "its forces lack a torque (remove_rigid_rot); give a run without")


def refuse_text(text: str) -> None:
    """Whether the text is that of a label, as :func:`refuse_xml`.

    Raises
    ------
    RunFailed
        It is not.
    """
    for pattern, reason in _IN_TEXT:
        if re.search(pattern, text, re.MULTILINE):
            raise RunFailed("input", reason)


def _words(root: ET.Element, path: str) -> str:
    return (root.findtext(f"input/{path}") or "").strip()


# --- dispersion ----------------------------------------------------------------------------------

_NAMES = {
    **dict.fromkeys(("grimme-d2", "dft-d"), "D2"),
    **dict.fromkeys(("grimme-d3", "dft-d3"), "D3"),
    **dict.fromkeys(("ts", "ts-vdw", "tkatchenko-scheffler"), "TS"),
    **dict.fromkeys(("mbd", "many-body-dispersion", "mbd_vdw"), "MBD"),
    "xdm": "XDM",
}
"""Values of vdw_corr."""

_TERMS = (
    (r"Dispersion XDM Correction", "XDM"),
    (r"Dispersion T-S Correction", "TS"),
    (r"DFT-D3 Dispersion", "D3"),
    (r"Parameters for Dispersion (\(Grimme-D2\) )?Correction", "D2"),
    (r"Dispersion Correction +=", "MBD"),
)
"""Lines of the text; that of the energy is one of D2 and MBD."""


def dispersion_of_xml(root: ET.Element) -> str:
    """Return the dispersion correction as part of a functional's name; "" for none."""
    name = _words(root, "dft/vdW/vdw_corr").lower()
    return "" if name in ("", "none") else f" + dispersion ({_NAMES.get(name, name)})"


def dispersion_of_text(text: str) -> str:
    """Return the dispersion correction as :func:`dispersion_of_xml`."""
    found = (name for pattern, name in _TERMS if re.search(pattern, text))
    name = next(found, "")
    return f" + dispersion ({name})" if name else ""


# --- smearing ------------------------------------------------------------------------------------


def smearing_of_xml(root: ET.Element) -> tuple[str, float]:
    """Return method and width of the smearing, "" for none, and -TS of the electrons in eV."""
    smearing = root.find("input/bands/smearing")
    if smearing is None:
        return "", 0.0
    width = 2 * float(smearing.get("degauss") or 0)
    entropy = abs(float(root.findtext("output/total_energy/demet") or 0)) * Hartree
    return _named_smearing((smearing.text or "").strip(), width), entropy


def smearing_of_text(text: str) -> tuple[str, float]:
    """Return smearing and -TS as :func:`smearing_of_xml`."""
    found = re.search(
        r"number of k points=\s*\d+\s+(\S.*?)\s+smearing, width \(Ry\)=\s*(\S+)", text
    )
    if not found:
        return "", 0.0
    terms = re.findall(r"smearing contrib\. \(-TS\)\s*=\s*(-?[\d.]+) Ry", text)
    return _named_smearing(found[1], float(found[2])), abs(
        float(terms[-1] if terms else 0)
    ) * Rydberg


def _named_smearing(name: str, width_ry: float) -> str:
    word = re.sub(r"[^a-z]", "", name.lower())
    return f"{_SMEARINGS.get(word, name)}, degauss {width_ry:.3g} Ry"


_SMEARINGS = {
    **dict.fromkeys(("gaussian", "gauss"), "gaussian"),
    **dict.fromkeys(("mp", "methfesselpaxton"), "mp"),
    **dict.fromkeys(("mv", "cold", "marzarivanderbilt"), "mv"),
    **dict.fromkeys(("fd", "fermidirac"), "fd"),
}
"""Names in the XML file and in the text, letters alone."""
