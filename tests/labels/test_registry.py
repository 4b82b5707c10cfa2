"""Every reference method has what other stages ask for, before anything is labelled."""

import pytest

from phonsmith.labels.kind import DftKind
from phonsmith.labels.reference import DftReference, ReferenceBase
from phonsmith.labels.registry import KINDS

CODES = [name for name, kind in KINDS.items() if isinstance(kind, DftKind)]


@pytest.mark.parametrize("name", KINDS)
def test_the_settings_of_a_method_bear_its_name(name):
    settings = KINDS[name].settings
    assert issubclass(settings, ReferenceBase)
    assert settings.model_fields["method"].annotation.__args__ == (name,)
    assert hasattr(settings, "level_of_theory") or "level_of_theory" in settings.model_fields
    assert issubclass(settings, DftReference) == isinstance(KINDS[name], DftKind)


@pytest.mark.parametrize("name", CODES)
def test_a_dft_code_has_a_box_for_isolated_atoms_and_a_citation(name):
    kind = KINDS[name]
    assert "isolated_atom_edges_angstrom" in kind.settings.model_fields
    assert kind.citation
