"""phonopy's and phono3py's YAML files: parsed without running code, in Å and eV.

phonopy keeps the units of the code that gave the forces (Ry and bohr of Quantum ESPRESSO, say) and
converts in formulae; here everything is converted at reading, with phonopy's own factors. Symmetry
is looked for within the tolerance that the file states. Nothing is taken from the working folder,
where ``phonopy.load`` looks for FORCE_SETS, BORN and force constants.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.yaml_files import read_yaml

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy
    from phonopy.physical_units import CalculatorPhysicalUnits
    from phonopy.structure.atoms import PhonopyAtoms

SYMPREC = 1e-5
"""Å. phonopy's tolerance of symmetry, where a file states none."""
LARGEST_TOLERANCE = 0.1
"""Å. With a larger tolerance atoms on different sites are taken for equivalent ones."""
LARGEST_SUPERCELL = 20_000
"""Atoms. Published supercells have some thousands at most."""
LEAST_DISTANCE = 0.65
"""Of the sum of covalent radii. Å taken for bohr shorten distances to 0.53 of what they are."""

_LENGTHS = {"angstrom": 1, "angstroms": 1, "ang": 1, "å": 1, "a": 1} | dict.fromkeys(
    ("au", "a.u.", "bohr"), 0
)
_CALCULATORS = {
    ("au", "ry/au"): "qe",
    ("au", "mry/au"): "wien2k",
    ("au", "hartree/au"): "elk",
    ("au", "ev/angstrom"): "siesta",
    ("angstrom", "hartree/au"): "cp2k",
    ("angstrom", "ev/angstrom"): None,
}
"""Which of phonopy's calculators has these units of length and force."""
_MIXED = {"ev/angstrom.au": "ev/angstrom", "hartree/angstrom.au": "hartree/au"}
"""Unit of forces for units of force constants with two lengths."""
_FREQUENCIES = {"THz": 1.0, "1/cm": 33.3564095, "meV": 4.13566770, "rad/ps": 2 * np.pi}
"""Units in which frequencies may have been requested, per THz."""
SAME_FACTOR = 1e-3
"""Relative. Factors of different codes differ by more, those of versions of phonopy by less."""


@dataclasses.dataclass
class PhonopyFile:
    """What a YAML file of phonopy or phono3py holds.

    ``data`` is phonopy's own container, with cells and charges in Å and e, but displacements and
    forces in the units of the file, so that FORCE_SETS beside it can be added: :meth:`converted`
    gives them in Å and eV.
    """

    path: Path
    data: Any
    units: "CalculatorPhysicalUnits"
    tolerance: float

    def phonopy(self, matrix: Any = None) -> "Phonopy":
        """phonopy on the crystal, by default with the supercell of the file; without data set."""
        from phonopy import Phonopy

        if matrix is None:
            matrix = self.data.supercell_matrix
        phonon = self._made(Phonopy, matrix)
        if self.data.nac_params is not None:
            phonon.nac_params = self._nac()
        return phonon

    def phono3py(self) -> "Phono3py":
        """phono3py on the crystal with the supercells of the file; without data sets."""
        from phono3py import Phono3py

        third = self._made(
            Phono3py,
            self.data.supercell_matrix,
            phonon_supercell_matrix=self.data.phonon_supercell_matrix,
        )
        if self.data.nac_params is not None:
            third.nac_params = self._nac()
        return third

    def converted(self, dataset: Any) -> Any:
        """Copy a data set, with displacements in Å, forces in eV/Å and energies in eV."""
        factors = {
            "displacement": self.units.distance_to_A,
            "displacements": self.units.distance_to_A,
            "cutoff_distance": self.units.distance_to_A,
            "pair_distance": self.units.distance_to_A,
            "forces": self.units.force_to_eVperA,
            "supercell_energy": self.units.energy_to_eV,
            "supercell_energies": self.units.energy_to_eV,
        }
        return _scaled(dataset, factors)

    def _made(self, kind: Any, matrix: Any, **more: Any) -> Any:
        data = self.data
        primitive = data.primitive_matrix
        charges = None if data.nac_params is None else len(data.nac_params["born"])
        for choice in ("auto", "P") if primitive is None else (primitive,):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # phonopy 4 warns of its default primitive cell
                options = {"primitive_matrix": choice, "symprec": self.tolerance, **more}
                make = partial(kind, data.unitcell, matrix, **options)
                made = parsed(self.path, make)
            if charges in (None, len(made.primitive)):
                return made
        raise PhonsmithError(
            f"{self.path}: `nac` has Born charges of {charges} atoms, but the primitive cell has "
            f"{len(made.primitive)}; write the file again with phonopy, or remove `nac`"
        )

    def _nac(self) -> dict[str, Any]:
        """The correction's parameters; the factor is e²/4πε₀ in the units of length and force."""
        from phonopy.physical_units import get_calculator_physical_units

        ours = get_calculator_physical_units().nac_factor
        stated = self.data.nac_params.get("factor")
        factor = ours
        if stated is not None:
            factor = float(stated) * self.units.force_to_eVperA * self.units.distance_to_A**2
            if abs(factor / ours - 1) > 1e-3:
                print(
                    f"{self.path}: unit_conversion_factor {stated:g} of `nac` contradicts the "
                    f"units of the file; {ours:.6f} eV Å is used",
                    flush=True,
                )
                factor = ours
        nac = {**self.data.nac_params, "factor": factor}
        for key in ("born", "dielectric"):
            if not np.isfinite(nac[key]).all():
                raise PhonsmithError(f"{self.path}: `nac` contains non-finite numbers")
        return nac


def read_phonopy_file(path: str | Path, *, third_order: bool = False) -> PhonopyFile:
    """Read a phonopy YAML, or with ``third_order`` a phono3py YAML.

    Raises
    ------
    PhonsmithError
        It is missing, damaged, not such a file, or in units that are unknown or contradict each
        other.
    """
    path = Path(path)
    content = read_yaml(path)
    mine, other = ("phono3py", "phonopy") if third_order else ("phonopy", "phono3py")
    if not isinstance(content, dict):
        raise PhonsmithError(f"{path}: not a {mine} YAML file")
    if other in content and mine not in content:
        raise PhonsmithError(f"{path}: is a {other} file; set the format `{other}`")
    header = content.get(mine)
    header = header if isinstance(header, dict) else {}
    units = _units(path, header.get("calculator"), content.pop("physical_unit", None))
    _check_factor(path, header.get("frequency_unit_conversion_factor"), units)
    data = _load(path, content, third_order)
    if data.unitcell is None or data.supercell_matrix is None:
        raise PhonsmithError(
            f"{path}: not a {mine} YAML file: unit cell or supercell matrix is missing"
        )
    for name in ("unitcell", "supercell", "primitive", "phonon_supercell", "phonon_primitive"):
        cell = getattr(data, name, None)
        if cell is not None:
            _check_cell(path, cell)
            cell.cell = cell.cell * units.distance_to_A
    _check_size(path, data)
    _check_distances(path, data.unitcell, units)
    tolerance = header.get("symmetry_tolerance")
    tolerance = SYMPREC if tolerance is None else _number(path, "symmetry_tolerance", tolerance)
    tolerance *= units.distance_to_A
    if not 0 < tolerance <= LARGEST_TOLERANCE:
        raise PhonsmithError(
            f"{path}: symmetry_tolerance {tolerance:g} Å; must be above 0 and at most "
            f"{LARGEST_TOLERANCE:g} Å"
        )
    return PhonopyFile(path, data, units, tolerance)


def parsed(path: Path, parse: Callable[[], Any]) -> Any:
    """Return what ``parse`` gives; any error of phonopy becomes one line that names the file."""
    try:
        return parse()
    except PhonsmithError:
        raise
    except Exception as error:  # phonopy raises many kinds for broken files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"{reason} is missing or unknown"
        raise PhonsmithError(f"{path}: cannot be read ({reason})") from error


def _load(path: Path, content: dict[str, Any], third_order: bool) -> Any:
    from phonopy.interface.phonopy_yaml import load_phonopy_yaml

    load: Any = load_phonopy_yaml
    if third_order:
        from phono3py.interface.phono3py_yaml import load_phono3py_yaml

        load = load_phono3py_yaml
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats of earlier versions
        return parsed(path, lambda: load(content))


# --- units ---------------------------------------------------------------------------------------


def _units(path: Path, calculator: Any, stated: Any) -> "CalculatorPhysicalUnits":
    """The units of a file, from its calculator and its own statement of units."""
    from phonopy.physical_units import get_calculator_physical_units

    length, force = _stated_units(path, stated)
    name = None if calculator is None else str(calculator).strip().lower()
    try:
        units = get_calculator_physical_units(name)
    except ValueError:
        name = _calculator_with(length, force)
        if name == "":
            raise PhonsmithError(
                f"{path}: unknown calculator '{calculator}'; give a calculator of phonopy, or "
                "`physical_unit` with `length` and `force`"
            ) from None
        units = get_calculator_physical_units(name)
    fits = length in (None, units.length_unit) and force in (None, units.force_unit.lower())
    if not fits and name is None:
        name = _calculator_with(length, force)
        if name == "":
            raise PhonsmithError(
                f"{path}: has length unit {length} and force unit {force}, but no calculator; give "
                "the code that computed the forces as `calculator` under `phonopy`"
            )
        units, fits = get_calculator_physical_units(name), True
    if not fits:
        raise PhonsmithError(
            f"{path}: has units {length or units.length_unit} and {force or units.force_unit}, but "
            f"its calculator {name} uses {units.length_unit} and {units.force_unit}; correct "
            "`physical_unit` or `calculator`"
        )
    return units


def _check_factor(path: Path, stated: Any, units: "CalculatorPhysicalUnits") -> None:
    """Check that the factor of frequencies in the file belongs to its units.

    Scripts may give phonopy the factor of a code, but not its name: phonopy then writes eV and Å
    as the units of forces in hartree/bohr. The factor of eV and Å beside another code means
    nothing: phonopy 2 wrote it into phonopy_disp.yaml whatever the code.
    """
    if stated is None:
        return
    from phonopy.physical_units import get_calculator_physical_units

    factor = _number(path, "frequency_unit_conversion_factor", stated)
    default = get_calculator_physical_units().factor
    if _is_factor_of(factor, units) or abs(factor / default - 1) < SAME_FACTOR:
        return
    codes = [
        name or "none"
        for name in _CALCULATORS.values()
        if _is_factor_of(factor, get_calculator_physical_units(name))
    ]
    whose = f", the factor of {' or '.join(codes)}," if codes else ""
    raise PhonsmithError(
        f"{path}: frequency_unit_conversion_factor {factor:g}{whose} contradicts the units of the "
        f"file ({units.length_unit}, {units.force_unit}: {units.factor:.6g}); give the code that "
        "computed the forces as `calculator` under `phonopy`, or correct the factor"
    )


def _is_factor_of(factor: float, units: "CalculatorPhysicalUnits") -> bool:
    return any(
        abs(factor / (units.factor * unit) - 1) < SAME_FACTOR for unit in _FREQUENCIES.values()
    )


def _calculator_with(length: str | None, force: str | None) -> str | None:
    """One of phonopy's calculators that has these units, or an empty text."""
    return _CALCULATORS.get((length or "", force or ""), "")


def _stated_units(path: Path, stated: Any) -> tuple[str | None, str | None]:
    """Units of length and force as the file states them, in phonopy's spelling."""
    stated = stated if isinstance(stated, Mapping) else {}
    mass = stated.get("atomic_mass", "AMU")
    if str(mass).strip().lower() not in ("amu", "u", "dalton"):
        raise PhonsmithError(f"{path}: physical_unit.atomic_mass is {mass}; only AMU is supported")
    length, force = stated.get("length"), stated.get("force")
    if force is None and (constants := stated.get("force_constants")) is not None:
        # in older files the only unit with an energy
        text = str(constants).strip().lower()
        force = _MIXED.get(text, text.removesuffix("^2"))
    if length is not None:
        length = _length(path, str(length))
    if force is not None:
        found = force
        energy, _, per = str(force).strip().lower().partition("/")
        energy = {"ha": "hartree", "eh": "hartree", "rydberg": "ry"}.get(energy, energy)
        force = f"{energy}/{_length(path, per)}"
        if force not in {unit for _, unit in _CALCULATORS}:
            raise PhonsmithError(
                f"{path}: unit of forces in physical_unit is {found}; allowed are "
                + ", ".join(sorted({unit for _, unit in _CALCULATORS}))
            )
    return length, force


def _length(path: Path, word: str) -> str:
    known = _LENGTHS.get(word.strip().lower())
    if known is None:
        raise PhonsmithError(
            f"{path}: physical_unit.length is '{word}'; allowed are angstrom and au (bohr)"
        )
    return "angstrom" if known else "au"


def _scaled(value: Any, factors: Mapping[str, float], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _scaled(one, factors, name) for name, one in value.items()}
    if key in factors and value is not None:
        return (
            np.asarray(value, dtype=float) * factors[key]
            if np.ndim(value)
            else float(value) * factors[key]
        )
    if isinstance(value, list):
        return [_scaled(one, factors) for one in value]
    return value


# --- sound or not --------------------------------------------------------------------------------


def _number(path: Path, key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise PhonsmithError(f"{path}: {key} is {value}, not a number") from None
    return number


def _check_cell(path: Path, cell: "PhonopyAtoms") -> None:
    if cell.is_site_mixture:
        raise PhonsmithError(
            f"{path}: has sites shared by several elements; only crystals with one element per "
            "site are supported"
        )
    numbers = (cell.cell, cell.scaled_positions, cell.masses)
    if any(one is None or not np.isfinite(one).all() for one in numbers):
        raise PhonsmithError(f"{path}: coordinates or masses of a cell are not numbers")
    if abs(cell.volume) < 1e-3:
        raise PhonsmithError(f"{path}: a cell has zero volume")


def _check_size(path: Path, data: Any) -> None:
    for key in ("supercell_matrix", "phonon_supercell_matrix"):
        matrix = getattr(data, key, None)
        if matrix is None:
            continue
        if np.shape(matrix) != (3, 3):
            raise PhonsmithError(f"{path}: {key} must be three rows of three integers")
        count = abs(np.linalg.det(matrix)) * len(data.unitcell)
        if not 0.5 < count <= LARGEST_SUPERCELL:
            raise PhonsmithError(
                f"{path}: {key} gives a supercell of {count:.0f} atoms; allowed are 1 to "
                f"{LARGEST_SUPERCELL}"
            )


def _check_distances(path: Path, cell: "PhonopyAtoms", units: "CalculatorPhysicalUnits") -> None:
    """Whether lengths that were converted from bohr were in bohr."""
    if units.distance_to_A == 1:
        return
    from ase import Atoms
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    atoms = Atoms(cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
    pairs = neighbor_list(
        "d",
        atoms,
        {
            (a, b): LEAST_DISTANCE * (covalent_radii[a] + covalent_radii[b])
            for a in set(atoms.numbers)
            for b in set(atoms.numbers)
        },
    )
    if len(pairs):
        raise PhonsmithError(
            f"{path}: atoms are {pairs.min():.2f} Å apart if lengths are in bohr, the unit of its "
            "calculator; if they are in Å, remove `calculator` and `physical_unit`"
        )
