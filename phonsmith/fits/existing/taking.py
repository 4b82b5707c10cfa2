"""Existing potentials, used without training."""

from phonsmith.files.reading_writing import write_json
from phonsmith.files.sources import sha256_of
from phonsmith.fits.existing.settings import ExistingFit
from phonsmith.fits.files import FitFiles, replacing_folder
from phonsmith.potentials.calculators import Potential, make_calculator, save_potential


def take(name: str, fit: ExistingFit, files: FitFiles) -> None:
    """Write ``potential.json`` of an existing potential, which has no training record.

    Parameters
    ----------
    name
        Id of the fit.
    fit
        Settings of the fit.
    files
        Paths to write.
    """
    potential = existing_potential(name, fit)
    with replacing_folder(files.model):
        pass  # its model is elsewhere
    write_json(files.record, None)
    save_potential(files.potential, potential)


def existing_potential(name: str, fit: ExistingFit) -> Potential:
    """Return an existing potential in the form of a trained one.

    Raises
    ------
    PhonsmithError
        It cannot be loaded: found here, before any phonon.
    """
    make_calculator(fit.potential)
    source = fit.potential
    if source.model_file is not None:  # what was loaded here is what will be loaded later
        source = source.model_copy(update={"sha256": sha256_of(source.model_file)})
    return Potential(
        source=source,
        has_energies=True,
        level_of_theory=fit.potential.level_of_theory,
        fit=name,
    )
