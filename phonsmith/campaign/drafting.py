"""Text of a new campaign file: the settings that matter, with comments.

A line that begins with ``#`` without a space is an optional setting, switched off.
"""

import textwrap
from collections.abc import Mapping, Sequence

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import listed, nearest
from phonsmith.files.yaml_files import in_a_line
from phonsmith.labels.registry import drafts

_TEXT = """\
# yaml-language-server: $schema=../campaign.schema.json
# All keys and their defaults: docs/settings.md. A line that begins with # and no space is an
# optional setting: remove the # to use it.
description: {description}
seed: 1 # of all random choices

structures:
{structures}

reference:
{reference}

# The reference method relaxes each crystal first.
relaxation:
  on_change: report # if a crystal turns into another one; or leave_out, stop

# Displaced cells (as many as symmetry requires) give the phonons of the reference; with the rattled
# cells they train the fits.
supercells:
  min_length_angstrom: 12 # shortest distance of periodic images: converge it
  min_atoms: 50
  max_atoms: 300
  displaced: {{distance_angstrom: {displacement:g}}}
  rattled:
    count: 10 # of each crystal; more for crystals of low symmetry
    std_angstrom: 0.03
    # volumes at which the fits are to be used: wider for high pressure
    volume_factors: [1.0, 0.95, 1.05, 0.90, 1.10]
{labels}
datasets:
  test_fraction: 0.2 # of the rattled cells, for errors of energies and forces

# The defaults are the recipes with the smallest phonon errors that were found: docs/defaults.md.
fits:
  gap:
    kind: gap
    #purpose: conductivity # with a section `conductivity`: the defaults for κ
    #soap: {{n_sparse: 2000}} # several elements and many sites: twice the time, smaller errors
  #mtp: {{kind: mtp}} # a hundred times as fast: docs/mtp.md
  #mace: {{kind: mace}} # needs more labels and a GPU; fine-tuned: docs/finetuning.md

phonons:
  cells: [relaxed] # each fit relaxes the crystal itself; `reference`: in the reference's cell

# New labels until the phonons are good enough: docs/loop.md.
#loop: {{max_generations: 5, cells_per_structure: 5, goal: {{rmse_thz: 0.1, harmonic_only: true}}}}

# Free energies and thermal expansion: docs/thermodynamics.md.
#thermodynamics: {{max_temperature_kelvin: 1000}}

# Thermal conductivity, by the reference and by each fit: docs/conductivity.md. Converge `mesh` and
# the cutoff. `way: fit` needs few labels of the reference; set `purpose` of the GAP above, too.
#conductivity:
  #third_order: {{way: fit, pair_cutoff_angstrom: 4.0}}
  #temperatures_kelvin: [300, 600]
  #mesh: 60 # length in Å; or numbers, [11, 11, 11]
  #solvers: [rta] # and lbte, the direct solution: memory grows with the square of the q points
"""


def known_references() -> list[str]:
    """Return the references that :func:`drafted` accepts."""
    return list(drafts())


def drafted(name: str, files: Mapping[str, str], elements: Sequence[str], reference: str) -> str:
    """Write the text of a campaign file.

    Parameters
    ----------
    name
        Name of the campaign.
    files
        Crystal files by id, relative to the project.
    elements
        Elements of all crystals.
    reference
        One of :func:`known_references`.

    Raises
    ------
    PhonsmithError
        The reference is unknown.
    """
    known = drafts()
    if reference not in known:
        raise PhonsmithError(
            f"unknown reference '{reference}'{nearest(reference, known) or ';'} use "
            f"{listed(list(known))}. For existing DFT data: python -m "
            "phonsmith.labels.recorded.survey FOLDER"
        )
    part = known[reference].draft(reference, elements)
    crystals = [in_a_line({one: {"file": file}})[1:-1] for one, file in files.items()]
    return _TEXT.format(
        description=f"{name}, labelled by {reference}",
        structures=_indented("\n".join(crystals)),
        reference=_indented(part.reference),
        displacement=part.displacement_angstrom,
        labels=f"\nlabels:\n{_indented(part.labels)}\n" if part.labels else "",
    )


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ")
