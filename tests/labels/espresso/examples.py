"""Settings and pseudopotential files."""

from pathlib import Path

from phonsmith.labels.espresso.settings import EspressoReference

UPF_2 = """<UPF version="2.0.1">
  <PP_INFO>Element: {element}</PP_INFO>
  <PP_HEADER generated="by hand" element=" {element}" pseudo_type="{kind}" relativistic="scalar"
    functional="{functional}" z_valence="4.000000000000e0" wfc_cutoff="4.374e1" rho_cutoff="0.0"/>
  <PP_MESH/>
</UPF>
"""


def upf(folder: Path, name: str, element="Si", functional="PBESOL", kind="USPP") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(UPF_2.format(element=element, functional=functional, kind=kind))
    return path


def reference(folder: Path, **changes) -> EspressoReference:
    settings = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(folder), "files": {"Si": "Si.pbesol.UPF"}},
        "ecutwfc_ry": 30,
    }
    return EspressoReference.model_validate(settings | changes)
