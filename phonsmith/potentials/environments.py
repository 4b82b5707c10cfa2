"""Environments of calculators whose packages conflict with those of phonsmith.

    python -m phonsmith.potentials.environments NAME                # make it (needs a network)
    python -m phonsmith.potentials.environments --pin NAME PACKAGE  # write its pins

An environment consists of a file of pinned packages, ``envs/NAME.txt`` of the project or of
phonsmith, and a folder made from it, ``.environments/NAME-HASH``. HASH identifies the pins: changed
pins make a new environment. The folder is complete if it has its record, which is written last;
deleting it is safe. ``.environments`` may be a link to a folder shared by several projects.

Packages listed after ``# compiled:`` in the file are compiled with the packages of the environment,
not with unpinned ones that pip would fetch; see :mod:`phonsmith.potentials.compilers`.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import listed, nearest
from phonsmith.files.reading_writing import alone, read_as, replacing, write_json
from phonsmith.potentials.compilers import missing_tools
from phonsmith.running.terminal import errors_in_words

FILES = Path("envs")
FOLDERS = Path(".environments")
RECORD = "environment.json"
PROGRAM = "phonsmith.potentials.environments"

_PIN = re.compile(r"\w[\w.-]*(\[[\w,.-]+\])?==\w[\w.!+-]*", re.ASCII)
_PYTHON = re.compile(r"#\s*python:\s*(\d+\.\d+)")
_COMPILED = re.compile(r"#\s*compiled:\s*(\S.*)")
_LIBRARIES = re.compile(r"#\s*libraries:\s*(\S.*)")

_INSTALLED = """
import ase, json, numpy, sys
from importlib.metadata import distributions
found = {}
for package in distributions():
    name = package.metadata["Name"]
    code = [str(file) for file in package.files or () if file.suffix in (".py", ".so")]
    top = {file.partition("/")[0].partition(".")[0] for file in code}
    found[name] = {"version": package.version, "modules": sorted(top)}
print(json.dumps({"python": sys.version.split()[0], "packages": found}))
"""


@dataclass(frozen=True)
class Environment:
    """An environment, defined by its file of pins; it may not exist yet.

    ``pins`` are the requirements, ``name==version``; ``python`` is the version of Python, such as
    "3.12", or None for that of phonsmith; ``compiled`` are names of packages that are compiled, and
    ``libraries`` the C++ libraries that they need, by their names in CMake.
    """

    name: str
    file: Path
    pins: tuple[str, ...]
    python: str | None
    compiled: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Hash of the pins; comments in the file are ignored."""
        content = "\n".join([f"python {self.python}", *sorted(self.pins)])
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Folder of the environment."""
        return FOLDERS / f"{self.name}-{self.sha256[:12]}"

    @property
    def record(self) -> Path:
        """File that exists if the environment is complete."""
        return self.folder / RECORD

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return (self.folder / "bin/python").absolute()

    def version_of(self, name: str) -> dict[str, str]:
        """Return the version by name of the package with this name or module, for records.

        Raises
        ------
        PhonsmithError
            The environment does not exist on this machine.
        """
        package, _, number = str(self.package_of(name)).partition(" ")
        return {package: number}

    def package_of(self, name: str) -> str | None:
        """Return name and version of the package with this name or module; None if absent.

        Raises
        ------
        PhonsmithError
            The environment does not exist on this machine.
        """
        for package, content in read_as(self.record, "an environment", _packages).items():
            if name == package or name in content["modules"]:
                return f"{package} {content['version']}"
        return None


def _packages(content: Any) -> dict[str, Any]:
    return dict(content["packages"])


def environment(name: str) -> Environment:
    """Read the file of an environment, from the project or from phonsmith.

    Raises
    ------
    PhonsmithError
        The file does not exist, or contains anything but pinned packages.
    """
    shipped = Path(__file__).resolve().parents[2] / FILES
    for folder in (FILES, shipped):
        file = folder / f"{name}.txt"
        if file.is_file():
            return _read(name, file)
    known = sorted({file.stem for folder in (FILES, shipped) for file in folder.glob("*.txt")})
    raise PhonsmithError(
        f"{FILES / name}.txt: no such file of pinned packages of environment '{name}'"
        f"{nearest(name, known) or ';'} environments are {listed(known) or 'none'}; "
        "docs/environments.md describes how to add one"
    )


def _read(name: str, file: Path) -> Environment:
    pins, python = [], None
    compiled: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if stated := _PYTHON.fullmatch(text):
            python = stated[1]
        elif stated := _COMPILED.fullmatch(text):
            compiled = tuple(stated[1].split())
        elif stated := _LIBRARIES.fullmatch(text):
            libraries = tuple(stated[1].split())
        elif text and not text.startswith("#"):
            if not _PIN.fullmatch(text):
                raise PhonsmithError(
                    f"{file}:{number}: '{text}' is not a pinned package; give one NAME==VERSION "
                    "per line, without options, addresses and paths"
                )
            pins.append(text)
    if not pins:
        raise PhonsmithError(f"{file}: no pinned packages; give one NAME==VERSION per line")
    return Environment(name, file, tuple(pins), python, compiled, libraries)


def check_makeable(name: str) -> None:
    """Raise PhonsmithError if an environment neither exists nor can be made on this machine.

    The file of its pins must exist, and where packages are compiled, a compiler and the libraries.
    """
    found = environment(name)
    if found.record.is_file() or not found.compiled:
        return
    if missing := missing_tools(found.libraries):
        raise PhonsmithError(
            f"environment '{name}' cannot be made: {', '.join(found.compiled)} is compiled, but "
            f"this machine has {missing}"
        )


def made(name: str) -> Environment:
    """Return a complete environment.

    Raises
    ------
    PhonsmithError
        It does not exist on this machine, or its Python is missing.
    """
    found = environment(name)
    if not found.record.is_file():
        raise PhonsmithError(
            f"environment '{name}' does not exist ({found.folder}); run `{_command(name)}` in "
            f"{Path.cwd()} on a machine with a network, such as a login node"
        )
    if not found.interpreter.is_file():
        raise PhonsmithError(
            f"environment '{name}': its Python is missing ({found.interpreter} does not exist on "
            f"this machine); delete {found.folder} and run `{_command(name)}`, with a Python "
            "available on all nodes"
        )
    return found


def make(name: str) -> Environment:
    """Make an environment unless it exists: a venv with the pinned packages.

    Processes that need the same environment wait for each other. Remains of killed processes are
    removed.

    Raises
    ------
    PhonsmithError
        The version of Python is missing, or a package cannot be installed.
    """
    found = environment(name)
    with alone(found.folder):
        if not found.record.is_file():
            check_makeable(name)
            shutil.rmtree(found.folder, ignore_errors=True)
            try:
                installed = _install(
                    name, found.folder, found.pins, found.python, compiled=found.compiled
                )
                write_json(found.record, {"environment": name, **installed})
            except BaseException:
                shutil.rmtree(found.folder, ignore_errors=True)
                raise
    return found


def _install(
    name: str,
    folder: Path,
    requirements: Sequence[str],
    python: str | None,
    *,
    compiled: Collection[str] = (),
) -> dict[str, Any]:
    """Make a venv with packages; return its Python version and its packages.

    Parameters
    ----------
    name
        Name of the environment.
    folder
        Folder of the venv.
    requirements
        Requirements, as for pip.
    python
        Version of Python; None for that of phonsmith.
    compiled
        Names of packages that are compiled after all others are installed, with these.
    """
    program = shutil.which(f"python{python}") if python else sys.executable
    if program is None:
        raise PhonsmithError(
            f"environment '{name}': no python{python} on PATH; install it, or load its module"
        )
    network = (
        f"if this machine has no network, run `{_command(name)}` in {Path.cwd()} on a machine that "
        "has one (a login node)"
    )
    _run(name, [program, "-m", "venv", str(folder)], "install your system's python3-venv package")
    interpreter = str(folder / "bin/python")
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install.append("--no-input")
    last = [one for one in requirements if one.partition("==")[0] in compiled]
    _run(name, [*install, *(one for one in requirements if one not in last)], network)
    if last:
        path = f"{(folder / 'bin').absolute()}{os.pathsep}{os.environ.get('PATH', '')}"
        options = ["--no-build-isolation", "--no-deps", "--no-binary", ",".join(compiled)]
        _run(name, [*install, *options, *last], network, {"PATH": path})
    needs = "it must contain ase and numpy besides the calculator"
    found: dict[str, Any] = json.loads(_run(name, [interpreter, "-c", _INSTALLED], needs))
    return found


def _run(
    name: str, command: Sequence[str], remedy: str, variables: Mapping[str, str] | None = None
) -> str:
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, **(variables or {})},
    )
    if run.returncode:
        output = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        print(*output, sep="\n", file=sys.stderr)
        errors = [line.removeprefix("ERROR: ") for line in output if line.startswith("ERROR: ")]
        reason = (errors or output or ["no reason given"])[-1]
        raise PhonsmithError(f"environment '{name}' cannot be made: {reason}; {remedy}")
    return run.stdout


def _command(name: str) -> str:
    return f"python -m {PROGRAM} {name}"


def pin(
    name: str,
    packages: Sequence[str],
    python: str | None = None,
    *,
    compiled: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> Path:
    """Write ``envs/NAME.txt``: packages and dependencies, pinned to the versions installed now.

    Local build tags such as ``+cpu`` are omitted.

    Parameters
    ----------
    name
        Name of the environment.
    packages
        Requirements, as for pip.
    python
        Version of Python; None for that of phonsmith.
    compiled, libraries
        See :class:`Environment`.
    """
    if compiled and (missing := missing_tools(libraries)):
        raise PhonsmithError(f"environment '{name}' cannot be made: this machine has {missing}")
    with tempfile.TemporaryDirectory() as folder:
        installed = _install(name, Path(folder) / name, packages, python, compiled=compiled)
    named = {one.partition("==")[0] for one in packages}
    pins = sorted(
        (
            f"{package}=={content['version'].partition('+')[0]}"
            for package, content in installed["packages"].items()
            if package not in ("pip", "setuptools", "wheel") or package in named
        ),
        key=str.lower,
    )
    built = (("compiled", compiled), ("libraries", libraries))
    options = [f"--{key} {' '.join(value)}" for key, value in built if value]
    head = [f"# {_command('--pin')} {' '.join([name, *packages, *options])}"]
    head += [f"# python: {python}"] if python else []
    head += [f"# {key}: {' '.join(value)}" for key, value in built if value]
    file = FILES / f"{name}.txt"
    with replacing(file) as temporary:
        temporary.write_text("\n".join([*head, *pins, ""]), encoding="utf-8")
    return file


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {PROGRAM}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="name of the environment: envs/NAME.txt")
    parser.add_argument("packages", nargs="*", help="with --pin: packages, as for pip install")
    parser.add_argument("--pin", action="store_true", help="write envs/NAME.txt")
    parser.add_argument("--python", help="with --pin: version of Python, such as 3.12")
    parser.add_argument("--compiled", nargs="+", default=[], help="with --pin: compile these")
    parser.add_argument(
        "--libraries", nargs="+", default=[], help="with --compiled: C++ libraries, such as Eigen3"
    )
    given = parser.parse_args(arguments)
    if given.pin != bool(given.packages):
        parser.error("give --pin with packages, or the name only")
    with errors_in_words():
        if given.pin:
            print(
                pin(
                    *(given.name, given.packages, given.python),
                    compiled=given.compiled,
                    libraries=given.libraries,
                )
            )
        else:
            print(make(given.name).folder)


if __name__ == "__main__":
    main()
