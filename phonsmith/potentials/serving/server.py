"""Compute with an ASE calculator for another process, in the environment of the calculator.

This file runs as a script under another Python, with other versions of numpy and ASE. It imports
these packages, the standard library and the calculator, but nothing of phonsmith.

Its standard input is a socket for requests and replies. A message consists of the word
``PHON``, the length of its head as eight bytes (little-endian), the head as JSON, and the arrays
listed in the head, as raw bytes. Nothing in a message is executed.
"""

import importlib
import json
import math
import os
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # modules beside this file must not hide those of the environment
    _HERE = Path(__file__).resolve().parent
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != _HERE]

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes

PROPERTIES = ("energy", "free_energy", "forces", "stress", "energies", "magmoms")
"""Results that are sent."""

_WORD = b"PHON"
_LENGTH = struct.Struct("<Q")
_LONGEST_HEAD = 1 << 20
_TYPES = ("<f8", "<i8")


# --- messages -----------------------------------------------------------------------------------


class Broken(Exception):  # noqa: N818 - what came is no message
    """The received data are not a message."""


def send(link: socket.socket, head: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Send a message.

    Parameters
    ----------
    link
        Connected socket.
    head
        Plain data; the key ``arrays`` is reserved.
    arrays
        Arrays by name, of float64 or int64.
    """
    listed = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    text = json.dumps({**head, "arrays": listed}).encode()
    parts = [_WORD, _LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays.values())]
    link.sendall(b"".join(parts))


def receive(link: socket.socket) -> tuple[dict[str, Any], dict[str, Any]]:
    """Receive a message; return its head and its arrays.

    Raises
    ------
    EOFError
        The other end is closed.
    Broken
        The received data are not a message.
    """
    start = _exactly(link, len(_WORD) + _LENGTH.size)
    (length,) = _LENGTH.unpack(start[len(_WORD) :])
    if not start.startswith(_WORD) or length > _LONGEST_HEAD:
        raise Broken("received data are not a message")
    try:
        head = json.loads(bytes(_exactly(link, length)))
        arrays = {
            name: _array(link, kind, shape) for name, (kind, *shape) in head.pop("arrays").items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Broken(f"received data are not a message ({error})") from None
    return head, arrays


def _array(link: socket.socket, kind: str, shape: Sequence[int]) -> Any:
    if kind not in _TYPES or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("not an array of numbers")
    return np.frombuffer(_exactly(link, 8 * math.prod(shape)), kind).reshape(shape)


def _exactly(link: socket.socket, size: int) -> bytearray:
    """Receive so many bytes, in any number of packets."""
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        got = link.recv_into(rest)
        if not got:
            raise EOFError
        rest = rest[got:]
    return content


# --- calculators --------------------------------------------------------------------------------


class NoCalculator(Exception):  # noqa: N818 - a finding
    """An import path that is not an ASE calculator."""


def imported(calculator: str, arguments: dict[str, Any], trust: bool) -> BaseCalculator:
    """Build a calculator by its import path.

    Parameters
    ----------
    calculator
        Import path ``package.module:Class``.
    arguments
        Keyword arguments.
    trust
        Accept a function that returns a calculator; a function can execute any code.

    Raises
    ------
    NoCalculator
        The path cannot be imported, or is not a calculator.
    """
    module, _, name = calculator.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NoCalculator(
            f"cannot be imported ({error}); check the path and that its package is installed"
        ) from None
    is_calculator = isinstance(make, type) and issubclass(make, BaseCalculator)
    if not is_calculator and not (trust and callable(make)):
        raise NoCalculator(
            "is not a class of an ASE calculator; if it is a function that returns a calculator, "
            "set `trust: true`"
        )
    made = make(**arguments)
    if not isinstance(made, BaseCalculator):
        raise NoCalculator("does not return an ASE calculator")
    return made


# --- the server ---------------------------------------------------------------------------------


def main() -> None:
    """Build the calculator that the first message names, and compute until the other end closes."""
    link = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # noqa: PTH123 - whoever reads stdin must not take requests
        os.dup2(nothing.fileno(), 0)
    try:
        head, _ = receive(link)
        if folder := head.get("folder"):
            sys.path.append(folder)
        try:
            calculator = imported(head["calculator"], head["arguments"], head["trust"])
        except Exception as error:
            send(link, _failure(error), {})
            return
        offered = [name for name in PROPERTIES if name in calculator.implemented_properties]
        send(link, {"properties": offered}, {})
        while True:
            head, cell = receive(link)
            try:
                found, reply = _computed(calculator, _atoms(**cell), head["properties"]), {}
            except Exception as error:
                found, reply = {}, _failure(error)
            send(link, reply, found)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # nobody asks any more


def _atoms(numbers: Any, positions: Any, cell: Any, pbc: Any) -> Atoms:
    return Atoms(numbers, positions=positions, cell=cell, pbc=pbc.astype(bool))


def _computed(calculator: BaseCalculator, atoms: Atoms, names: Sequence[str]) -> dict[str, Any]:
    """Return the requested properties, and others computed with them."""
    if isinstance(calculator, Calculator):
        # all at once: some calculators begin anew for each property asked for alone
        calculator.calculate(atoms, list(names), list(all_changes))
    found = {name: calculator.get_property(name, atoms) for name in names}
    more = getattr(calculator, "results", {})
    found.update({name: more[name] for name in PROPERTIES if name not in found and name in more})
    known = {name: value for name, value in found.items() if value is not None}
    return {name: np.asarray(value, "<f8") for name, value in known.items()}


def _failure(error: Exception) -> dict[str, Any]:
    reply = {
        "error": " ".join(str(error).split())[:300],
        "details": traceback.format_exc()[-20000:],
    }
    return reply if isinstance(error, NoCalculator) else {**reply, "type": type(error).__name__}


if __name__ == "__main__":
    main()
