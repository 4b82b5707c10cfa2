"""Settings of VASP in a new campaign file."""

from collections.abc import Sequence

from phonsmith.files.yaml_files import in_a_line
from phonsmith.labels.kind import DFT_LABELS, Draft, magnetic_comment

_REFERENCE = """\
method: vasp
functional: PBEsol # or PBE, LDA
# POTCARs of the Materials Project; pymatgen finds them in the folder PMG_VASP_PSP_DIR.
potcars: {potcars}
encut_ev: 700 # 1.3 times the largest ENMAX or more: converge it
kspacing_per_angstrom: 0.2 # KSPACING, with 2π; metals need a smaller value: converge it
# Gaussian smearing of 0.05 eV suits insulators and most metals.
ismear: 0
sigma_ev: 0.05
cores: 16 # MPI ranks of a run
command: mpirun -np {{cores}} vasp_std
#command_gamma: mpirun -np {{cores}} vasp_gam
#memory_mb: 64000 # of a run; default: an estimate
time_limit_minutes: 600 # of a run
#incar: {{NCORE: 4}}
# Polar insulators: Born charges, for the splitting of LO and TO modes.
#born_charges: true
# Magnetic crystals: starting moments in Bohr magnetons, by element.
{magnetic}#magnetism: true
#magmom: {moments}"""


def draft(elements: Sequence[str]) -> Draft:
    """Write the settings, with POTCARs (PBE_54) and moments of the Materials Project."""
    from pymatgen.io.vasp.sets import MPScanRelaxSet

    usual = MPScanRelaxSet.CONFIG["POTCAR"]
    moments = MPScanRelaxSet.CONFIG["INCAR"]["MAGMOM"]
    text = _REFERENCE.format(
        potcars=in_a_line({element: usual.get(element, element) for element in elements}),
        magnetic=magnetic_comment(elements),
        moments=in_a_line({element: moments.get(element, 0.6) for element in elements}),
    )
    return Draft(reference=text, labels=DFT_LABELS)
