"""What compiling a package of an environment needs: a compiler, Python's headers, C++ libraries.

Libraries are found where CMake finds them: below the prefixes in ``CMAKE_PREFIX_PATH`` and
``NAME_ROOT``, in ``NAME_DIR``, beside the folders of ``PATH`` (as in conda), and in the system.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

COMPILERS = ("c++", "g++", "clang++")
DEBIAN = {"Eigen3": "libeigen3-dev"}
"""Packages of Debian by the names of libraries in CMake."""

_SYSTEM = ("/usr/local", "/usr")


def missing_tools(libraries: Sequence[str]) -> str:
    """Return what is missing to compile a package, and how to get it; "" if nothing is.

    Parameters
    ----------
    libraries
        Names of libraries in CMake, such as ``Eigen3``.
    """
    lacks, packages = [], []
    compiler = os.environ.get("CXX", "").split()[:1]
    if not any(map(shutil.which, compiler or COMPILERS)):
        lacks.append(f"no C++ compiler ({(compiler or ['c++'])[0]})")
        packages.append("g++")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        lacks.append("no headers of Python")
        packages.append("python3-dev")
    for name in libraries:
        if not any(True for _ in _configurations(name)):
            lacks.append(f"no {name} library")
            packages.append(DEBIAN.get(name, name))
    if not lacks:
        return ""
    return (
        f"{' and '.join(lacks)}; install what is missing (Debian: `apt install "
        f"{' '.join(packages)}`), load its module, or name its folder in CMAKE_PREFIX_PATH"
    )


def _configurations(library: str) -> Iterator[Path]:
    """Yield files by which CMake finds a library."""
    names = [f"{library}Config.cmake", f"{library.lower()}-config.cmake"]
    below = [
        *("", "cmake", f"share/{library.lower()}/cmake", f"share/cmake/{library.lower()}"),
        *(f"{lib}/cmake/{library.lower()}" for lib in ("lib", "lib64", "share")),
        f"lib/{library.lower()}/cmake",
    ]
    for prefix in _prefixes(library):
        for folder in below:
            yield from (file for name in names if (file := prefix / folder / name).is_file())


def _prefixes(library: str) -> Iterator[Path]:
    for variable in ("CMAKE_PREFIX_PATH", f"{library}_ROOT", f"{library.upper()}_ROOT"):
        yield from map(Path, filter(None, os.environ.get(variable, "").split(os.pathsep)))
    if folder := os.environ.get(f"{library}_DIR"):
        yield Path(folder)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if Path(folder).name in ("bin", "sbin"):
            yield Path(folder).parent
    yield from map(Path, _SYSTEM)
