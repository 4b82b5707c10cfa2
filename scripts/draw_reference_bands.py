"""Band structures of all structures by the reference method alone."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    import pandas as pd

    from phonsmith.figures.bands import BandsCaption, draw_reference_bands
    from phonsmith.figures.style import save_figure
    from phonsmith.phonons.spectra import Spectrum

    inputs, params = snakemake.input, snakemake.params
    crystals = pd.read_csv(inputs.structures, dtype=str, index_col="structure").fillna("")
    folder = Path(snakemake.output[0])
    folder.mkdir(parents=True, exist_ok=True)
    for structure, path in zip(params.structures, inputs.reference, strict=True):
        spectrum = Spectrum.load_if_any(path)
        if spectrum is None:
            continue
        caption = BandsCaption(
            structure=structure,
            space_group=crystals["symbol_after"].get(structure, ""),
            reference=params.level_of_theory,
            cell="reference",
            rmse_thz=None,
        )
        figure = draw_reference_bands(spectrum, caption)
        for one in params.formats:
            save_figure(figure, folder / f"{structure}.{one}", params.dpi)
