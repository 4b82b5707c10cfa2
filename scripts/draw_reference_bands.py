"""Band structures of one structure or of all by the reference method alone."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.bands import BandFigures, BandsCaption, draw_reference_bands
    from phonsmith.phonons import Spectrum

    inputs, params = snakemake.input, snakemake.params
    crystals = pd.read_csv(inputs.structures, dtype=str, index_col="structure").fillna("")
    figures = BandFigures(snakemake.output[0], params.formats, params.dpi)
    for structure, path in zip(params.structures, inputs.reference, strict=True):
        spectrum, figure = Spectrum.load_if_any(path), None
        if spectrum is not None:
            caption = BandsCaption(
                structure=structure,
                space_group=crystals["symbol_after"].get(structure, ""),
                reference=params.level_of_theory,
                cell="reference",
                rmse_thz=None,
            )
            figure = draw_reference_bands(spectrum, caption)
        figures.save(structure, figure)
    figures.finish()
