"""Labels: energies, forces and stresses of cells by a reference method.

A reference method labels one cell at a time (:class:`ReferenceMethod`); everything around it is
the same for all methods: the check of a label, the store that keeps each label from the moment it
is there, and the record of what failed and why.
"""

from phonsmith.labels.checks import LabelFailed, check_label, gather, labelled, unlabelled
from phonsmith.labels.methods import (
    Allocation,
    Failure,
    ReferenceMethod,
    ask_for_more,
    fitted_method,
    isolated_atoms,
    label_cells,
    reference_method,
    reference_or_fit,
)
from phonsmith.labels.quarantine import require_labels, taken_up
from phonsmith.labels.store import LabelStore

__all__ = [
    "Allocation",
    "Failure",
    "LabelFailed",
    "LabelStore",
    "ReferenceMethod",
    "ask_for_more",
    "check_label",
    "fitted_method",
    "gather",
    "isolated_atoms",
    "label_cells",
    "labelled",
    "reference_method",
    "reference_or_fit",
    "require_labels",
    "taken_up",
    "unlabelled",
]
