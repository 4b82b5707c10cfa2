"""Settings of Quantum ESPRESSO in a new campaign file."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.yaml_files import in_a_line
from phonsmith.labels.espresso.pseudopotentials import files_of_element, read_upf, sssp_table
from phonsmith.labels.kind import DFT_LABELS, Draft, magnetic_comment

FOLDER = Path("config/pseudopotentials")
"""Folder in which, and in whose folders, UPF files are looked for."""

_REFERENCE = """\
method: espresso
functional: {functional} # PBEsol, PBE or LDA: that of the pseudopotentials
# {found}
pseudopotentials: {pseudopotentials}
ecutwfc_ry: {ecutwfc:g} # {suggested}
ecutrho_ry: {ecutrho:g} # ultrasoft and PAW: 8 or more times ecutwfc; norm-conserving: 4 times
kspacing_per_angstrom: 0.2 # with 2π, as KSPACING of VASP; metals need a smaller value: converge it
# Keep `smearing` where it is unknown whether the crystals are metals or insulators: it suits
# both. `fixed` saves the empty bands, but only for crystals known to be insulating.
occupations: smearing
smearing: gaussian
degauss_ry: 0.0037 # 0.05 eV
conv_thr_ry: 1.0e-11 # of the whole cell: forces within 1e-5 eV/Å
cores: 4 # MPI ranks of a run; cells of few atoms: 1, and labels.side_by_side
#pools: 2 # groups of cores that share the k-points
#memory_mb: 8000 # of a run; default: an estimate
time_limit_minutes: 240 # of a run
# Polar insulators: Born charges, for the splitting of LO and TO modes.
#born_charges: true
# Magnetic crystals: starting spin polarisation of the valence electrons, -1 to 1, by element.
{magnetic}#magnetism: true
#starting_magnetization: {moments}"""


@dataclass(frozen=True)
class _Choice:
    """Pseudopotentials of all elements; cutoffs in Ry are 0 where none are suggested."""

    functional: str
    settings: dict[str, Any]
    ecutwfc_ry: float = 0.0
    ecutrho_ry: float = 0.0
    found: str = "Found in the project."


def draft(elements: Sequence[str], folder: Path = FOLDER) -> Draft:
    """Write the settings, with pseudopotentials found in the project and their cutoffs.

    Where some are missing the file names are guesses, which ``python -m phonsmith.check`` reports.
    """
    choice = next(_choices(elements, folder), None) or _Choice(
        functional="PBEsol",
        settings={
            "folder": str(folder),
            "files": {element: f"{element}.UPF" for element in elements},
        },
        found="Put the files into the folder and give their names.",
    )
    ecutwfc = choice.ecutwfc_ry or 60.0
    suggested = "suggested by the pseudopotentials" if choice.ecutwfc_ry else "a guess"
    text = _REFERENCE.format(
        functional=choice.functional,
        found=choice.found,
        pseudopotentials=in_a_line(choice.settings),
        ecutwfc=ecutwfc,
        ecutrho=max(choice.ecutrho_ry or 8 * ecutwfc, 4 * ecutwfc),
        suggested=f"{suggested}: converge it",
        magnetic=magnetic_comment(elements),
        moments=in_a_line(dict.fromkeys(elements, 0.5)),
    )
    return Draft(reference=text, labels=DFT_LABELS)


def _choices(elements: Sequence[str], folder: Path) -> Iterator[_Choice]:
    """Sets of pseudopotentials that hold all elements, the preferred ones first."""
    folders = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    for functional in ("PBEsol", "PBE", "LDA"):
        for place in folders:
            if choice := _of_sssp(elements, place, functional):
                yield choice
            if choice := _of_files(elements, place, functional):
                yield choice


def _of_sssp(elements: Sequence[str], folder: Path, functional: str) -> _Choice | None:
    """A release of SSSP whose files of the elements are made for the functional."""
    try:
        table = sssp_table(folder)
        files = [read_upf(folder / str(table[element]["filename"])) for element in elements]
    except (PhonsmithError, KeyError):
        return None
    if any(file.functional != functional for file in files):
        return None
    return _Choice(
        functional=functional,
        settings={"folder": str(folder), "family": "SSSP"},
        ecutwfc_ry=max(float(table[element].get("cutoff_wfc", 0)) for element in elements),
        ecutrho_ry=max(float(table[element].get("cutoff_rho", 0)) for element in elements),
        found="Found in the project: SSSP, with the cutoffs of its table.",
    )


def _of_files(elements: Sequence[str], folder: Path, functional: str) -> _Choice | None:
    """The first file of each element that is made for the functional."""
    files = {}
    for element in elements:
        for name in files_of_element(element, folder):
            try:
                file = read_upf(folder / name)
            except PhonsmithError:
                continue
            if (file.element, file.functional) == (element, functional):
                files[element] = file
                break
        else:
            return None
    return _Choice(
        functional=functional,
        settings={
            "folder": str(folder),
            "files": {element: file.path.name for element, file in files.items()},
        },
        ecutwfc_ry=math.ceil(max(file.ecutwfc_ry for file in files.values())),
        ecutrho_ry=math.ceil(max(file.ecutrho_ry for file in files.values())),
    )
