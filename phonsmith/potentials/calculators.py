"""Interatomic potentials as ASE calculators: named, checked, and evaluated on many cells.

Energies are consistent with forces (ASE's ``free_energy`` if a calculator has it).
"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray
from pydantic import ValidationError

from phonsmith.files.atoms import bare
from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.reading_writing import read_json, write_json
from phonsmith.files.settings import Model
from phonsmith.potentials.at_once import compute, offered
from phonsmith.potentials.computing import computing
from phonsmith.potentials.loaded_files import (
    arguments_with_paths,
    check_arguments,
    check_model,
    files_of,
)
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.serving.server import NoCalculator, imported
from phonsmith.potentials.settings import PotentialSource
from phonsmith.potentials.torch_precision import torch_dtype
from phonsmith.running.process_pool import each

# --- one calculator -----------------------------------------------------------------------------


def make_calculator(source: PotentialSource) -> BaseCalculator:
    """Build the ASE calculator of a potential; `arguments` override its defaults.

    ``stillinger-weber`` is matscipy's engine with the silicon parameters of Stillinger and Weber,
    Phys. Rev. B 31, 5262 (1985); its `arguments` replace single parameters (``lambda1``, ...).
    ``gap`` and ``mace`` read the model file, MACE in float64. ``chgnet`` runs on the CPU in
    float32, ``sevennet``, ``polymlp`` and ``pod`` in separate environments.

    Raises
    ------
    PhonsmithError
        The model file is missing, its checksum differs, or the calculator cannot be built.
    """
    check_model(source)
    check_arguments(source)
    ready = computing(source)
    build = ready.build if ready else _imported
    try:
        with contextlib.redirect_stdout(io.StringIO()) as output, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calculator = build(source)
    except PhonsmithError:
        raise
    except Exception as error:  # third-party constructors raise anything
        print(output.getvalue(), end="")
        raise PhonsmithError(
            f"calculator '{source.calculator}' cannot be built{_of_model(source)}: "
            f"{one_line(error)}; check its `arguments` and `model`"
        ) from error
    return calculator


_kept: dict[str, BaseCalculator] = {}


def kept_calculator(source: PotentialSource) -> BaseCalculator:
    """Build a calculator with :func:`make_calculator`, or return the last calculator if equal.

    Reading a GAP or a MACE takes as long as a displaced cell. Changed files are read again.
    """
    files = [*([source.model_file] if source.model_file else []), *files_of(source)]
    states = [Path(file).stat() for file in files if Path(file).is_file()]
    key = f"{source.model_dump_json()} {[(state.st_mtime_ns, state.st_size) for state in states]}"
    if key not in _kept:
        _kept.clear()
        _kept[key] = make_calculator(source)
    return _kept[key]


def known_elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the elements supported by a potential; None if unknown before it is loaded.

    `elements` of the source takes precedence. For a GAP, they are the species of its descriptors.
    """
    if source.elements is not None:
        return frozenset(source.elements)
    ready = computing(source)
    return ready.elements(source) if ready else None


def check_elements(source: PotentialSource, cells: Sequence[Atoms]) -> None:
    """Raise PhonsmithError if the cells contain an element that the potential does not support."""
    known = known_elements(source)
    found = {symbol for cell in cells for symbol in cell.symbols}
    if known is not None and not found <= known:
        raise PhonsmithError(
            f"calculator '{source.calculator}'{_of_model(source)} does not support "
            f"{', '.join(sorted(found - known))}; choose a potential for these crystals"
        )


def one_line(error: BaseException) -> str:
    """Return type and first line of an exception."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _of_model(source: PotentialSource) -> str:
    return f" ({source.model})" if source.model else ""


def _imported(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of an import path, in this process or in another environment."""
    arguments = arguments_with_paths(source)
    if source.model is not None:
        arguments["model"] = str(Path(source.model).absolute())
    if source.computes_in:
        return OutsideCalculator(source.computes_in, source.calculator, arguments, source.trust)
    try:
        return imported(source.calculator, arguments, source.trust)
    except NoCalculator as error:
        raise PhonsmithError(f"calculator '{source.calculator}' {error}") from None


# --- many cells ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """Results of a potential for one cell.

    ``energy`` in eV, ``forces`` (atoms, 3) in eV/Å, ``stress`` (3, 3) in eV/Å³ with ASE's sign, or
    None if the potential has none. Numbers may be NaN where the potential fails.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None


def evaluate(
    cells: Sequence[Atoms], source: PotentialSource, processes: int = 1
) -> list[Evaluation]:
    """Compute energy, forces and stress of every cell.

    Parameters
    ----------
    cells
        Cells to evaluate.
    source
        The potential.
    processes
        Number of spawned processes, with one thread each, that share the cells.

    Returns
    -------
    One evaluation per cell, in the order of the cells.

    Raises
    ------
    PhonsmithError
        The potential cannot be built or does not support an element.
    UnusablePotential
        The potential fails on a cell.
    """
    results: dict[int, Evaluation] = {}
    for index, outcome in evaluate_each(cells, source, processes):
        if isinstance(outcome, Exception):
            raise UnusablePotential(
                f"calculator '{source.calculator}'{_of_model(source)} fails on cell {index} "
                f"({cells[index].get_chemical_formula()}): {one_line(outcome)}"
            ) from outcome
        results[index] = outcome
    return [results[index] for index in range(len(cells))]


def evaluate_each(
    cells: Sequence[Atoms], source: PotentialSource, processes: int = 1
) -> Iterator[tuple[int, Evaluation | Exception]]:
    """Evaluate cells as :func:`evaluate`, and yield each result when it is available.

    Parameters
    ----------
    cells
        Cells to evaluate.
    source
        The potential.
    processes
        Number of spawned processes that share the cells.

    Returns
    -------
    Pairs of index and evaluation, or index and exception where the potential fails on the cell.

    Raises
    ------
    PhonsmithError
        The potential cannot be built or does not support an element.
    """
    check_elements(source, cells)
    plain = [bare(cell) for cell in cells]
    if on_gpu(source):
        yield from _in_batches(plain, kept_calculator(source))
        return
    for index, outcome in each(partial(_evaluator, source), plain, min(processes, len(plain))):
        if isinstance(outcome, PhonsmithError):
            raise outcome
        yield index, outcome


def on_gpu(source: PotentialSource) -> bool:
    """Return whether a potential is a MACE that computes batches of cells on a GPU."""
    if source.calculator != "mace" or source.arguments.get("device", "auto") == "cpu":
        return False
    import torch

    return bool(torch.cuda.is_available())


def _in_batches(
    cells: Sequence[Atoms], calculator: BaseCalculator
) -> Iterator[tuple[int, Evaluation | Exception]]:
    """Evaluate cells in batches; one by one where a batch fails, e.g. out of memory."""
    for together in in_batches([len(cell) for cell in cells], BATCH_ATOMS):
        try:
            yield from zip(
                together, evaluate_batch([cells[k] for k in together], calculator), strict=True
            )
        except PhonsmithError:
            raise
        except Exception as error:
            print(f"a batch of {len(together)} cells fails, one by one: {one_line(error)}")
            alone = each(lambda: partial(_evaluate_with, calculator), [cells[k] for k in together])
            yield from ((together[k], outcome) for k, outcome in alone)


def evaluate_one(cell: Atoms, calculator: BaseCalculator) -> Evaluation:
    """Return energy, forces and stress of a cell; the cell remains unchanged."""
    atoms = bare(cell)
    _check_table(atoms, calculator)
    compute(atoms, calculator)
    return results_of(atoms, calculator)


def results_of(atoms: Atoms, calculator: BaseCalculator) -> Evaluation:
    """Return what a calculator has computed of these atoms; it computes what it has not."""
    wanted = offered(atoms, calculator)
    energy = calculator.get_property("free_energy" if "free_energy" in wanted else "energy", atoms)
    forces = calculator.get_property("forces", atoms)
    stress = calculator.get_property("stress", atoms) if "stress" in wanted else None
    return Evaluation(
        energy=float(energy),
        forces=np.array(forces, dtype=float).reshape(len(atoms), 3),
        stress=None if stress is None else _full(np.asarray(stress, dtype=float)),
    )


def evaluate_batch(cells: Sequence[Atoms], calculator: Any) -> list[Evaluation]:
    """Compute energy, forces and stress of several cells in one pass of a MACE calculator.

    A single small cell leaves a GPU idle; many cells at once use it.

    Parameters
    ----------
    cells
        Cells to evaluate.
    calculator
        MACE's ASE calculator with one model.
    """
    from mace import data
    from mace.tools import torch_geometric

    for cell in cells:
        _check_table(cell, calculator)
    dtype = str(calculator.default_dtype)
    with torch_dtype(dtype):
        configs = [
            data.config_from_atoms(
                bare(cell), key_specification=data.KeySpecification(), head_name=calculator.head
            )
            for cell in cells
        ]
        graphs = [
            data.AtomicData.from_config(
                config,
                z_table=calculator.z_table,
                cutoff=calculator.r_max,
                heads=calculator.available_heads,
            )
            for config in configs
        ]
        batch = torch_geometric.Batch.from_data_list(graphs).to(calculator.device)
        found = calculator.models[0](batch.to_dict(), compute_stress=True)
    energies = found["energy"].detach().cpu().numpy()
    stresses = found["stress"].detach().cpu().numpy()
    forces = np.split(found["forces"].detach().cpu().numpy(), batch.ptr.cpu().numpy()[1:-1])
    return [
        Evaluation(float(energy), np.array(force, dtype=float), np.array(stress, dtype=float))
        for energy, force, stress in zip(energies, forces, stresses, strict=True)
    ]


BATCH_ATOMS = 2000
"""Number of atoms that MACE computes in a pass on a GPU."""


def in_batches(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield indices in batches whose sizes add up to at most ``most``, or of a single index.

    >>> list(in_batches([2, 3, 9, 1], 5))
    [[0, 1], [2], [3]]
    """
    batch: list[int] = []
    total = 0
    for index, size in enumerate(sizes):
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += size
    if batch:
        yield batch


def _check_table(atoms: Atoms, calculator: BaseCalculator) -> None:
    """Refuse elements that the model lacks; MACE would fail without naming them."""
    known = getattr(getattr(calculator, "z_table", None), "zs", None)
    if known is not None and not {int(z) for z in atoms.numbers} <= {int(z) for z in known}:
        unknown = sorted({chemical_symbols[z] for z in atoms.numbers if z not in known})
        raise PhonsmithError(
            f"the model does not support {', '.join(unknown)}; choose another potential"
        )


def _evaluator(source: PotentialSource) -> Callable[[Atoms], Evaluation]:
    return partial(_evaluate_with, kept_calculator(source))


def _evaluate_with(calculator: BaseCalculator, cell: Atoms) -> Evaluation:
    return evaluate_one(cell, calculator)


def _full(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    if stress.shape == (6,):
        return np.asarray(voigt_6_to_full_3x3_stress(stress))
    return stress.reshape(3, 3)


# --- a fitted potential beside its model file -----------------------------------------------


class Potential(Model):
    """A usable potential and its properties: the file ``potential.json``."""

    source: PotentialSource
    has_energies: bool
    level_of_theory: str
    fit: str


def save_potential(path: str | Path, potential: Potential) -> None:
    """Write ``potential.json``; the model's path is stored relative to its folder."""
    path = Path(path)
    source = potential.source
    if source.model_file is not None:
        model = os.path.relpath(Path(source.model_file).resolve(), path.parent.resolve())
        source = source.model_copy(update={"model": model})
    write_json(path, potential.model_copy(update={"source": source}).model_dump(mode="json"))


def load_potential(path: str | Path) -> Potential:
    """Read ``potential.json``; the model's path is made absolute.

    Raises
    ------
    PhonsmithError
        The file is missing or damaged.
    """
    path = Path(path)
    try:
        potential = Potential.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such file; train the fit first") from None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise PhonsmithError(f"{path}: not a potential.json ({one_line(error)})") from None
    source = potential.source
    if source.model_file is not None:
        model = str((path.parent / source.model_file).resolve())
        source = source.model_copy(update={"model": model})
    return potential.model_copy(update={"source": source})


def save_phonons_alone(path: str | Path, fit: str, level_of_theory: str) -> None:
    """Write ``potential.json`` of a fit that holds phonons in its folder and is no potential.

    Parameters
    ----------
    path
        File to write.
    fit
        Id of the fit.
    level_of_theory
        Level of theory of its forces.
    """
    write_json(path, {"phonons_alone": level_of_theory, "fit": fit})


def has_calculator(path: str | Path) -> bool:
    """Return whether ``potential.json`` is that of a potential, not of phonons alone."""
    return "source" in read_json(path)


def why_without_energies(path: str | Path, purpose: str) -> str:
    """Return why the fit of a ``potential.json`` cannot be used for a purpose; "" if it can.

    Parameters
    ----------
    path
        ``potential.json`` of the fit.
    purpose
        What needs energies, in words.
    """
    if has_calculator(path):
        return without_energies(load_potential(path), purpose)
    fit = read_json(path).get("fit", "")
    return f"fit '{fit}' consists only of force constants, but {purpose} needs energies"


def without_energies(potential: Potential, purpose: str) -> str:
    """Return why the potential cannot be used for a purpose that needs energies; "" if it can.

    Energies of a potential trained on forces only have an unknown constant for each crystal and
    must not be compared.
    """
    if potential.has_energies:
        return ""
    return (
        f"fit '{potential.fit}' was trained on forces only, but {purpose} needs energies; "
        "train it on labels with energies"
    )


def require_energies(potential: Potential, purpose: str) -> None:
    """Raise PhonsmithError if the potential has no energies (:func:`without_energies`)."""
    if why := without_energies(potential, purpose):
        raise PhonsmithError(why)
