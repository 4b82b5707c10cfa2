"""Foundation models: locate, verify before loading, and extract settings for fine-tuning.

A model file is a pickle: loading it runs whatever code it holds. A checksum that the campaign
states is therefore compared first, on the very copy that is loaded.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress

from phonsmith.datasets.sets import Baseline, isolated_energies
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames
from phonsmith.files.pickles import require_known
from phonsmith.files.reading_writing import alone
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, download, locate, sha256_of
from phonsmith.fits.energy_shifts import energy_shifts
from phonsmith.fits.mace.settings import Foundation, Replay
from phonsmith.potentials.calculators import one_line
from phonsmith.potentials.settings import PotentialSource

# --- the file ---------------------------------------------------------------------------------


def find(foundation: Foundation) -> Path:
    """Find the path of the model file, downloaded where it has to be; its checksum is as stated.

    Models that mace knows by name and those with an address go to mace's cache,
    ``~/.cache/mace`` or ``$XDG_CACHE_HOME/mace``. Nothing is loaded.

    Raises
    ------
    PhonsmithError
        The file is not there and cannot be had, or has another checksum.
    """
    if foundation.is_address:
        return _from_address(foundation)
    path = _by_name(foundation.model) if foundation.file is None else Path(foundation.file)
    if not path.is_file():
        raise PhonsmithError(f"foundation: {path}: no such model file; put it there")
    if foundation.file is None:
        _compare(path, foundation)
    else:
        require_known(path, foundation.sha256, foundation.trust)
    return path


def copy_to(target: Path, foundation: Foundation) -> str:
    """Copy the model file to ``target``; the SHA-256 of the copy."""
    shutil.copyfile(find(foundation), target)
    return _compare(target, foundation)


def _compare(path: Path, foundation: Foundation) -> str:
    found = sha256_of(path)
    if foundation.sha256 not in (None, found):
        raise PhonsmithError(
            f"foundation: {path}: not loaded, checksum differs: SHA-256 is {found}, expected "
            f"{foundation.sha256}; replace the file or correct `sha256`"
        )
    return found


def _from_address(foundation: Foundation) -> Path:
    from mace.tools.utils import get_cache_dir

    folder, _, file = foundation.model.rpartition("/")
    assert foundation.sha256 is not None
    source = Source(
        name=f"foundation-{foundation.sha256[:12]}", url=folder, files={file: foundation.sha256}
    )
    cache = get_cache_dir()
    try:
        return locate(source, file, Places(cache=cache))
    except PhonsmithError as error:
        raise PhonsmithError(
            f"foundation: {error}; or download the file yourself and save it as "
            f"{cache / source.name / file}"
        ) from None


def _by_name(name: str) -> Path:
    """The file in mace's cache, downloaded where it is missing.

    mace itself would download into the file that another process already takes for whole.
    """
    from mace.calculators import foundations_models as models

    url = models.mace_mp_urls[name]
    # the name that mace gives the file
    kept = "".join(c for c in url.rpartition("/")[2] if c.isalnum() or c == "_")
    path = Path(models.get_cache_dir()) / kept
    try:
        with alone(path):
            if not path.is_file():
                print(f"downloading {url}", flush=True)
                download(url, path, None)
    except PhonsmithError as error:
        raise PhonsmithError(
            f"foundation: {name} cannot be downloaded: {error}; or download the file yourself and "
            f"save it as {path}"
        ) from None
    return path


# --- what it is -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Knowledge:
    """What a foundation model knows: elements with their energies (eV), and the head to use."""

    e0s: dict[str, float]
    head: str


def knowledge(path: Path, foundation: Foundation) -> Knowledge:
    """Load a model, which runs code in it, and ask what it knows.

    Raises
    ------
    PhonsmithError
        It is not a MACE, or has several heads and no head is chosen.
    """
    import torch

    try:
        model = torch.load(path, map_location="cpu", weights_only=False)
        heads = [str(head) for head in getattr(model, "heads", ["Default"])]
        numbers = [int(number) for number in model.atomic_numbers]
        energies = model.atomic_energies_fn.atomic_energies.reshape(-1, len(numbers))
    except Exception as error:  # a pickle raises anything
        raise PhonsmithError(
            f"foundation: {foundation.model}: cannot be loaded as a MACE model ({one_line(error)})"
        ) from error
    head = foundation.head or heads[0]
    if head not in heads or (len(heads) > 1 and foundation.head is None):
        raise PhonsmithError(
            f"foundation.head: required, since {foundation.model} has several heads: "
            f"{', '.join(heads)}"
        )
    row = energies[heads.index(head)] if len(energies) > 1 else energies[0]
    if foundation.method == "multihead" and len(numbers) == 1:
        raise PhonsmithError(
            "foundation.method: mace does not support multihead fine-tuning of a one-element model "
            f"({foundation.model}); use naive"
        )
    e0s = {chemical_symbols[z]: float(e0) for z, e0 in zip(numbers, row, strict=True)}
    return Knowledge(e0s, head)


def check_elements(known: Knowledge, frames: Sequence[Atoms], foundation: Foundation) -> None:
    """Refuse cells with elements that the foundation model does not support.

    Parameters
    ----------
    known
        Elements and settings of the foundation model.
    frames
        Training cells.
    foundation
        Settings of the foundation, named in the message.

    Raises
    ------
    PhonsmithError
        A cell holds an unknown element.
    """
    unknown = {symbol for atoms in frames for symbol in atoms.symbols} - known.e0s.keys()
    if unknown:
        raise PhonsmithError(
            f"foundation: {foundation.model} does not support {', '.join(sorted(unknown))}; choose "
            "another model or train from scratch"
        )


# --- energy zero ------------------------------------------------------------------------------


def energy_zero(  # noqa: PLR0917
    foundation: Foundation,
    known: Knowledge,
    path: Path,
    cells: Sequence[Atoms],
    baseline: Baseline,
    device: str,
    threads: int,
) -> Baseline:
    """Determine the energies of single atoms for a fine-tuning, of all elements of the foundation.

    Parameters
    ----------
    foundation
        Settings of the foundation.
    known
        Elements and energies of the foundation model.
    path
        Path of the foundation model.
    cells
        Training cells, without isolated atoms.
    baseline
        Energy zero of the data set.
    device
        ``cpu`` or ``cuda``.
    threads
        Number of threads.

    Raises
    ------
    PhonsmithError
        Isolated atoms are requested, but the data set has none.
    """
    with_energy = [atoms for atoms in cells if ENERGY in atoms.info]
    if not baseline.has_energies or not with_energy or foundation.e0s == "foundation":
        origin = baseline.origin if not baseline.has_energies else "foundation"
        return Baseline(dict(known.e0s), origin)
    if foundation.e0s == "isolated_atoms":
        if baseline.origin != "isolated_atoms":
            raise PhonsmithError(
                "foundation.e0s: isolated_atoms requires isolated atoms in the data set; use "
                "estimated"
            )
        return Baseline({**known.e0s, **baseline.e0s}, "isolated_atoms")
    if foundation.e0s == "average":
        return Baseline({**known.e0s, **isolated_energies(with_energy).e0s}, "least_squares")
    arguments = {"head": known.head, "device": device}
    source = PotentialSource(  # the copy that was compared when it was made
        calculator="mace", model=str(path), arguments=arguments, trust=True
    )
    shifts = energy_shifts(with_energy, source, threads)
    return Baseline({e: e0 + shifts.get(e, 0.0) for e, e0 in known.e0s.items()}, "estimated")


# --- replay -----------------------------------------------------------------------------------


def replay_cells(replay: Replay, known: Knowledge, seed: int) -> list[Atoms]:
    """Choose labelled replay cells at random, of elements that the foundation model knows.

    Parameters
    ----------
    replay
        File and number of cells.
    known
        Elements of the foundation model.
    seed
        Seed of the random choice.

    Returns
    -------
    Cells in the order of the file.

    Raises
    ------
    PhonsmithError
        The file is missing, or holds fewer than two such cells.
    """
    cells = [
        atoms
        for atoms in map(_with_our_keys, read_frames(replay.file))
        if FORCES in atoms.arrays
        and atoms.info.get("kind") not in ("isolated_atom", "constraint")
        and atoms.info.get("config_type") != "IsolatedAtom"  # mace's own word
        and set(atoms.symbols) <= known.e0s.keys()
    ]
    if len(cells) < 2:
        raise PhonsmithError(
            f"foundation.replay.file: {replay.file} has {len(cells)} labelled cells of elements "
            "that the foundation model supports; at least two are required"
        )
    chosen = np.random.default_rng(seed).permutation(len(cells))[: max(2, replay.cells)]
    return [cells[i] for i in sorted(chosen)]


def _with_our_keys(atoms: Atoms) -> Atoms:
    """The labels under REF_ keys, also where the file has those of ASE; eV, eV/Å, eV/Å³."""
    if atoms.calc is None or FORCES in atoms.arrays or "forces" not in atoms.calc.results:
        return atoms
    results = atoms.calc.results
    atoms.set_array(FORCES, np.asarray(results["forces"], dtype=float))
    if "energy" in results:
        atoms.info[ENERGY] = float(results["energy"])
    if "stress" in results:
        atoms.info[STRESS] = voigt_6_to_full_3x3_stress(results["stress"])
    return atoms
