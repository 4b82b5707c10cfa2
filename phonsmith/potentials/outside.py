"""ASE calculators that run in the Python of another environment.

Each calculator of a process has one child process. It starts once, computes cell after cell, and
ends with this process.
"""

import json
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.environments import made
from phonsmith.potentials.serving import server
from phonsmith.running.subprocesses import Companion, Finished, failure


class FailedOutside(Exception):  # noqa: N818 - reads as a sentence in messages
    """An exception of a calculator in its process: first line, then traceback."""


class OutsideCalculator(Calculator):  # type: ignore[misc]
    """A calculator in another environment; it receives lattice, elements and positions only.

    Parameters
    ----------
    environment
        Name of the environment.
    calculator
        Import path ``package.module:Class`` in that environment.
    arguments
        Keyword arguments, as plain data.
    trust
        Accept a function that returns a calculator.
    folder
        Folder of the module, where it is not installed in the environment. Installed modules take
        precedence.

    Raises
    ------
    PhonsmithError
        The environment does not exist, or the path is not that of a calculator.
    FailedOutside
        The calculator cannot be built.
    """

    def __init__(
        self,
        environment: str,
        calculator: str,
        arguments: dict[str, Any],
        trust: bool = False,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._request = {"calculator": calculator, "arguments": arguments, "trust": trust}
        if folder is not None:
            self._request["folder"] = str(folder)
        self._environment = environment
        self.implemented_properties = list(self._child().properties)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute properties of atoms."""
        super().calculate(atoms, properties, system_changes)
        self.results = self._child().computed(self.atoms, properties)

    def _child(self) -> "_Child":
        return _Child.of(self._environment, self._request)


class _Child:
    """Process of a calculator."""

    _running: ClassVar[dict[str, "_Child"]] = {}

    def __init__(self, environment: str, request: dict[str, Any]) -> None:
        interpreter = made(environment).interpreter
        self._name = f"calculator '{request['calculator']}' in environment '{environment}'"
        self._computed = 0
        self._lock = threading.Lock()  # a reply must not go to another's question
        self._link, theirs = socket.socketpair()
        with theirs:
            command = [str(interpreter), server.__file__]
            self._process = Companion(command, theirs, {"PYTHONUNBUFFERED": "1"})
        self.properties: list[str] = self._asked(request, {})[0]["properties"]

    @classmethod
    def of(cls, environment: str, request: dict[str, Any]) -> "_Child":
        """Return the process of this calculator; start it if it is not running."""
        key = json.dumps([environment, request], sort_keys=True)
        child = cls._running.get(key)
        if child is None or child._ended:
            child = cls._running[key] = cls(environment, request)
        return child

    @property
    def _ended(self) -> bool:
        return self._link.fileno() < 0

    def computed(self, atoms: Atoms, properties: Sequence[str]) -> dict[str, Any]:
        """Return results of a cell by name, in ASE's units and shapes."""
        cell = {
            "numbers": atoms.numbers.astype("<i8"),
            "positions": atoms.positions.astype("<f8"),
            "cell": atoms.cell.array.astype("<f8"),
            "pbc": atoms.pbc.astype("<i8"),
        }
        _, arrays = self._asked({"properties": list(properties)}, cell)
        for name in ("forces", "magmoms", "energies"):
            if name in arrays and len(arrays[name].reshape(-1)) % len(atoms):
                raise PhonsmithError(
                    f"{self._name}: {name} have shape {arrays[name].shape} for {len(atoms)} atoms"
                )
        self._computed += 1
        return {name: found if found.ndim else float(found) for name, found in arrays.items()}

    def _asked(self, head: dict[str, Any], arrays: dict[str, Any]) -> Any:
        """Send a request and return the reply; an interruption ends the process."""
        with self._lock:
            try:
                server.send(self._link, head, arrays)
                reply, found = server.receive(self._link)
            except (EOFError, OSError):
                raise self._death(self._end()) from None
            except BaseException:  # a late reply must not be read as the next reply
                self._end()
                raise
        if error := reply.get("error"):
            if "properties" not in head:
                self._end()
            if "type" not in reply:
                raise PhonsmithError(f"{self._name} {error}")
            raise FailedOutside(f"{reply['type']}: {error}\n{reply['details']}")
        return reply, found

    def _end(self) -> Finished:
        self._link.close()
        return self._process.end()

    def _death(self, end: Finished) -> Exception:
        """Return why the process ended: an error of the cell, unless every cell must fail."""
        reason = "its output is in the log"
        if self._computed and not end.cannot_start and end.signal not in ("SIGKILL", "SIGTERM"):
            return FailedOutside(f"its process ended ({end.ending}); {reason}")
        return failure(self._name, end, reason)
