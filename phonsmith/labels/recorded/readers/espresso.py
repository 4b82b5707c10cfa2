"""Labels from recorded runs of pw.x: its XML files, and its text output where there is no XML.

A static run, or the last step of a relaxation that converged. The energy is the one that pw.x marks
with "!", the free energy whose derivatives the forces are. If the text is in the folder of the XML,
both have to agree and the text has to report a regular end: the XML file may be of an earlier run.
"""

import hashlib
import io
import re
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from ase.units import Rydberg

from phonsmith.labels.checks import labelled
from phonsmith.labels.espresso.pseudopotentials import functional_name
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.each import Recorded, each_file
from phonsmith.labels.recorded.readers.levels import PSEUDOPOTENTIAL, Level
from phonsmith.labels.recorded.readers.pw import (
    PwResult,
    RunFailed,
    ambiguous_species,
    element_of_label,
    reason_in,
    result_of_xml,
)
from phonsmith.labels.recorded.readers.pw_settings import (
    dispersion_of_text,
    dispersion_of_xml,
    refuse_text,
    refuse_xml,
    smearing_of_text,
    smearing_of_xml,
)

LARGEST_BYTES = 1 << 29
LARGEST_PSEUDOPOTENTIAL = 1 << 26
LARGE_BOX_ANGSTROM = 9.0
"""Å. No crystal with one atom in the cell has lattice vectors as long as this."""

SAME_ENERGY_RY = 2e-6
"""Energies stand in the text with eight digits behind the point."""

_TEXTS = ("*.out", "*.pwo", "*.log", "*.txt")
_BEGINNING = 1 << 16


def read_espresso(path: Path) -> Recorded:
    """Read a data-file-schema.xml or output of pw.x, or all of a folder and below.

    Where a folder holds an XML file, or PREFIX.save with one, the outputs beside are not read
    twice.
    """
    if path.is_dir():
        recorded = Recorded(frames=[])
        files = runs_in(path)
        if not files:
            return each_file(path, ("data-file-schema.xml", *_TEXTS), _of_file)
        for file in files:
            recorded.add(each_file(file, (), _of_file))
        return recorded
    return each_file(path, (), _of_file)


def runs_in(folder: Path) -> list[Path]:
    """Return one file for each run of pw.x in a folder and below: the XML, else the text."""
    xml = sorted(
        file for file in folder.rglob("*.xml") if file.is_file() and _begins(file, "qes:espresso")
    )
    # pw.x copies PREFIX.xml to PREFIX.save/data-file-schema.xml
    xml = [file for file in xml if not (file.parent / f"{file.stem}.save").is_dir()]
    spoken_for = {text for file in xml for text in texts_beside(file)}
    texts = sorted(
        {
            file
            for pattern in _TEXTS
            for file in folder.rglob(pattern)
            if file.is_file() and _begins(file, "Program PWSCF")
        }
    )
    return [*xml, *(file for file in texts if file not in spoken_for)]


def texts_beside(xml: Path) -> list[Path]:
    """Outputs of pw.x in the folder of its XML, or in the folder of PREFIX.save."""
    folder = xml.parent.parent if xml.parent.suffix == ".save" else xml.parent
    for place in (folder, folder.parent if xml.parent.suffix == ".save" else folder):
        found = [
            file
            for pattern in _TEXTS
            for file in sorted(place.glob(pattern))
            if file.is_file() and _begins(file, "Program PWSCF")
        ]
        if found:
            return found
    return []


def _begins(file: Path, word: str) -> bool:
    try:
        with file.open("rb") as stream:
            return word.encode() in stream.read(_BEGINNING)
    except OSError:
        return False


def _of_file(file: Path) -> Recorded:
    if file.stat().st_size > LARGEST_BYTES:
        raise LabelFailed(f"holds more than {LARGEST_BYTES >> 20} MiB; is it output of pw.x?")
    if _begins(file, "qes:espresso"):
        result, level = _of_xml(file)
    elif _begins(file, "Program PWSCF"):
        result, level = _of_text(file)
    else:
        raise LabelFailed("is no output of pw.x (neither its XML file nor its text)")
    frame = labelled(result.atoms, "", result.energy, result.forces, result.stress)
    if level.isolated:
        frame.info.update({"kind": "isolated_atom", "config_type": "IsolatedAtom"})
    return Recorded([frame], levels=[("", level)])


# --- XML -----------------------------------------------------------------------------------------


def _of_xml(file: Path) -> tuple[PwResult, Level]:
    try:
        root = ET.parse(file).getroot()
    except ET.ParseError as error:
        raise RunFailed("incomplete", f"the XML file of pw.x is damaged ({error})") from None
    texts = {text: text.read_text(errors="replace") for text in texts_beside(file)}
    try:
        _judge_xml(root)
        result = result_of_xml(root, with_stress=False)
    except RunFailed as failed:
        reasons = [reason_in(text) for text in texts.values()]
        raise (reasons[0] if len(reasons) == 1 and reasons[0] else failed) from None
    if texts:
        _judge_beside(texts, float(_words(root, "output/total_energy/etot")) * 2)
    told = next(iter(texts.values())) if len(texts) == 1 else ""
    return result, _level_of_xml(root, result, file.parent, _stated_contents(told))


def _words(root: ET.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _judge_xml(root: ET.Element) -> None:
    calculation = _words(root, "input/control_variables/calculation")
    if calculation not in ("scf", "relax", "vc-relax"):
        raise RunFailed(
            "input", f"calculation = '{calculation}' gives no label; give scf runs of its cells"
        )
    if _words(root, "exit_status") not in ("", "0"):
        raise RunFailed("crashed", f"pw.x ended with exit status {_words(root, 'exit_status')}")
    if _words(root, "output/convergence_info/scf_conv/convergence_achieved") != "true":
        words = "the SCF did not converge, or the XML file does not state it"
        raise RunFailed("not converged", words)
    ended = _words(root, "output/convergence_info/opt_conv/convergence_achieved")
    if calculation != "scf" and ended != "true":
        raise RunFailed("not converged", "the relaxation did not converge")
    if abs(float(_words(root, "input/bands/tot_charge") or 0)) > 1e-6:
        raise RunFailed("input", "its cell is charged (tot_charge); labels are of neutral cells")
    field = root.find("input/electric_field")
    if field is not None:
        kind = _words(field, "electric_potential") or "gate or dipole"
        raise RunFailed("input", f"was run in an electric field ({kind}); give a run without")
    refuse_xml(root)


def _judge_beside(texts: dict[Path, str], energy_ry: float) -> None:
    """Whether one of the outputs beside an XML file reports its result and a regular end."""
    for text in texts.values():
        last = _energies(text)
        if last and abs(last[-1] - energy_ry) < SAME_ENERGY_RY:
            _judge_text(text)
            return
    if len(texts) == 1:
        (text,) = texts.values()
        _judge_text(text)
    names = ", ".join(file.name for file in list(texts)[:3])
    raise RunFailed(
        "incomplete",
        f"the XML file has {energy_ry:.8f} Ry, the output beside it ({names}) another energy: they "
        "are of different runs",
    )


def _energies(text: str) -> list[float]:
    """Total energies in Ry; with exact exchange the last one is marked by ``!!``."""
    return [
        float(word) for word in re.findall(r"^!!?\s+total energy\s+=\s+(-?[\d.]+) Ry", text, re.M)
    ]


def _judge_text(text: str) -> None:
    """Whether pw.x reports a regular end, and that its last SCF and a relaxation converged."""
    if "JOB DONE" not in text:
        raise reason_in(text) or RunFailed("incomplete", "pw.x did not finish")
    if reason := reason_in(text):
        raise reason
    refuse_text(text)
    if not _energies(text) or "convergence has been achieved" not in text:
        raise RunFailed("not converged", "the SCF did not converge")
    wanted = re.findall(r"convergence threshold\s+=\s+(\S+)", text)
    reached = re.findall(r"estimated scf accuracy\s+<\s+(\S+)\s+Ry", text)
    if wanted and reached and float(reached[-1]) > float(wanted[0]) * 1.05:
        raise RunFailed("not converged", f"the SCF stopped at an accuracy of {reached[-1]} Ry")
    if "BFGS Geometry Optimization" in text and not re.search(r"bfgs converged in|Final e", text):
        raise RunFailed("not converged", "the relaxation did not converge")
    if re.search(r"The maximum number of steps has been reached", text):
        raise RunFailed("not converged", "the relaxation did not converge")


def _level_of_xml(
    root: ET.Element, result: PwResult, folder: Path, stated: dict[str, dict[str, str]]
) -> Level:
    cutoffs = [
        2 * float(_words(root, f"input/basis/{name}") or 0) for name in ("ecutwfc", "ecutrho")
    ]
    files = {
        element_of_label(str(one.get("name"))): {
            PSEUDOPOTENTIAL: (one.findtext("pseudo_file") or "").strip()
        }
        for one in root.iterfind("input/atomic_species/species")
    }
    names = {element: values[PSEUDOPOTENTIAL] for element, values in files.items()}
    hubbard = root.findall("input/dft/dftU/Hubbard_U")
    for one in hubbard:
        element = element_of_label(str(one.get("specie")))
        value = f"{float(one.text or 0) * 27.211386:.3g} eV"
        files.setdefault(element, {})["the Hubbard U"] = value
    for values in files.values() if any(float(one.text or 0) for one in hubbard) else ():
        values.setdefault("the Hubbard U", "none")
    spin = "on" if _words(root, "input/spin/lsda") == "true" else "off"
    if _words(root, "input/spin/noncolin") == "true":
        spin = "noncollinear"
    functional = functional_name(_words(root, "input/dft/functional"))
    functional += dispersion_of_xml(root)
    if any(float(one.text or 0) for one in hubbard):
        functional += " + U"
    grid = root.find("input/k_points_IBZ/monkhorst_pack")
    smearing, entropy = smearing_of_xml(root)
    return Level(
        code="Quantum ESPRESSO",
        functional=functional,
        settings={
            "ecutwfc": f"{cutoffs[0]:.4g} Ry",
            "ecutrho": f"{cutoffs[1] or 4 * cutoffs[0]:.4g} Ry",
            "spin": spin,
        },
        by_element=files,
        mesh=(
            None
            if grid is None
            else _mesh(result.atoms, [int(grid.get(f"nk{n}", 1)) for n in "123"])
        ),
        isolated=_is_isolated(result.atoms),
        contents=stated
        or _contents(names, folder, _words(root, "input/control_variables/pseudo_dir")),
        version=result.version,
        smearing=smearing,
        entropy=entropy / len(result.atoms),
    )


def _stated_contents(text: str) -> dict[str, dict[str, str]]:
    """The MD5 sum of each pseudopotential as the output of pw.x has it."""
    found = re.findall(
        r"PseudoPot\. #\s*\d+ for\s+(\w+)\s+read from file:?\s*\n\s*\S+\s*\n"
        r"\s*MD5 check sum:\s*([0-9a-f]{32})",
        text,
    )
    return {element_of_label(species): {"stated": md5} for species, md5 in found}


def _contents(names: dict[str, str], folder: Path, pseudo_dir: str) -> dict[str, dict[str, str]]:
    """The MD5 sums of pseudopotentials that are here: copies beside the XML, or the files used."""
    found = {}
    for element, name in names.items():
        for origin, place in (("copy", folder), ("file", Path(pseudo_dir or folder))):
            if name and (md5 := _md5_of(place / Path(name).name)):
                found[element] = {origin: md5}
                break
    return found


def _md5_of(path: Path) -> str:
    """The MD5 sum of a pseudopotential; "" where there is no such file."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_PSEUDOPOTENTIAL:
            return ""
        return _md5(path, path.stat().st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=1000)
def _md5(path: Path, modified: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _mesh(atoms: Atoms, divisions: list[int]) -> tuple[str, float, float]:
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(atoms.cell[:]), axis=0)
    spacing = float(max(reciprocal / np.array(divisions)))
    return atoms.get_chemical_formula("hill"), atoms.get_volume(), spacing


def _is_isolated(atoms: Atoms) -> bool:
    return len(atoms) == 1 and float(atoms.cell.lengths().min()) > LARGE_BOX_ANGSTROM


# --- text ----------------------------------------------------------------------------------------


def _of_text(file: Path) -> tuple[PwResult, Level]:
    text = file.read_text(errors="replace")
    if (runs := len(re.findall(r"Program PWSCF\s+v", text))) > 1:
        raise RunFailed("input", f"holds {runs} runs of pw.x, one behind the other; split the file")
    if re.search(r"Molecular Dynamics Calculation|Entering Dynamics", text):
        raise RunFailed("input", "molecular dynamics; give scf runs of its cells")
    if "Band Structure Calculation" in text:
        raise RunFailed("input", "is not self-consistent (nscf or bands); give scf runs")
    _judge_text(text)
    if not text.rfind("Forces acting on atoms") > text.rfind("!    total energy"):
        raise RunFailed("incomplete", "has no forces for its last cell (set tprnfor)")
    if re.search(r"[Ee]lectric field|[Dd]ipole field|External electric", text):
        raise RunFailed("input", "was run in an electric field; give a run without")
    if not re.search(r"tau\(", text):
        raise RunFailed("incomplete", "does not list its atoms; give its data-file-schema.xml")
    _refuse_charge(text)
    _refuse_other_elements(text)
    # bands and k-points, which no label needs, come in layouts that ASE does not know
    bare = re.sub(
        r"End of (band structure|self-consistent) calculation|number of k points", "", text
    )
    atoms = read(io.StringIO(bare), index=-1, format="espresso-out")
    version = re.search(r"Program PWSCF\s+v\.(\S+)", text)
    stressed = text.rfind("total   stress") > text.rfind("!    total energy")
    result = PwResult(
        atoms=Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=True),
        energy=_energies(text)[-1] * Rydberg,  # ASE reads with older constants
        forces=np.asarray(atoms.calc.results["forces"]),
        stress=atoms.get_stress(voigt=False) if stressed else None,
        scf_steps=0,
        scf_accuracy_ry=0.0,
        version=version[1] if version else "",
    )
    return result, _level_of_text(text, result)


def _species(text: str) -> list[tuple[str, str, str]]:
    """Label, number of valence electrons, and element of the pseudopotential of each species."""
    return re.findall(
        r"^\s{3,}([A-Za-z]\S*)\s+([\d.]+)\s+[\d.]+\s+([A-Za-z]{1,2})\s*\(", text, re.M
    )


def _refuse_other_elements(text: str) -> None:
    """Refuse labels of species that look like elements other than those of pseudopotentials."""
    for label, _, symbol in _species(text):
        element = element_of_label(label)
        if element != symbol.capitalize():
            raise ambiguous_species(label, f"of {symbol}", element)


def _refuse_charge(text: str) -> None:
    electrons = re.search(r"number of electrons\s+=\s+([\d.]+)", text)
    species = {label: valence for label, valence, _ in _species(text)}
    count = re.search(r"number of atoms/cell\s+=\s+(\d+)", text)
    atoms = re.findall(r"^\s+\d+\s+(\S+)\s+tau\(", text, re.M)
    atoms = atoms[: int(count[1])] if count else []  # they are listed in two kinds of axes
    if electrons and atoms and all(name in species for name in atoms):
        neutral = sum(float(species[name]) for name in atoms)
        if abs(float(electrons[1]) - neutral) > 1e-2:
            raise RunFailed(
                "input",
                f"its cell is charged: {electrons[1]} electrons, {neutral:g} are neutral",
            )


def _level_of_text(text: str, result: PwResult) -> Level:
    def first(pattern: str) -> str:
        found = re.search(pattern, text)
        return found[1].strip() if found else ""

    wavefunctions = float(first(r"kinetic-energy cutoff\s+=\s+([\d.]+)") or 0)
    density = float(first(r"charge density cutoff\s+=\s+([\d.]+)") or 0)
    functional = functional_name(first(r"Exchange-correlation\s*=\s*([^\n(]+?)\s*(?:\(|\n)"))
    functional += dispersion_of_text(text)
    names = re.findall(r"PseudoPot\. #\s*\d+ for\s+(\w+)\s+read from file:?\s*\n\s*(\S+)", text)
    if re.search(r"LDA\+U|Hubbard U|DFT\+Hubbard", text):
        functional += " + U"
    smearing, entropy = smearing_of_text(text)
    noncollinear = "Noncollinear" in text or "non-collinear" in text.lower()
    spin = "noncollinear" if noncollinear else "on" if "magnetization" in text else "off"
    return Level(
        code="Quantum ESPRESSO",
        functional=functional,
        settings={
            "ecutwfc": f"{wavefunctions:.4g} Ry",
            "ecutrho": f"{density:.4g} Ry",
            "spin": spin,
        },
        by_element={
            element_of_label(name): {PSEUDOPOTENTIAL: file.rpartition("/")[2]}
            for name, file in names
        },
        isolated=_is_isolated(result.atoms),
        contents=_stated_contents(text),
        version=result.version,
        smearing=smearing,
        entropy=entropy / len(result.atoms),
    )
