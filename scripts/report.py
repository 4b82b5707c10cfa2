"""Everything about a campaign on one page."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from datetime import UTC, datetime
    from pathlib import Path

    from phonsmith.campaign.model import Campaign
    from phonsmith.figures.band_data import BandFiles
    from phonsmith.figures.costs import read_costs
    from phonsmith.figures.report import FigureFiles, Further, checksums_of, render_report
    from phonsmith.figures.results_read import Tables, label_of
    from phonsmith.files.reading_writing import replacing

    inputs, target = snakemake.input, Path(snakemake.output[0])
    campaign, params = Campaign.model_validate(snakemake.params.campaign), snakemake.params
    shown = (params.application_figures, params.application_tables)
    captions = [[caption for _, caption in files] for files in shown]
    alone = ("by_structure", "phonon_vs_force", "database_errors", "generations")
    figures = FigureFiles(
        **{name: Path(inputs[name]) if inputs[name] else None for name in alone},
        sweeps=dict(zip(campaign.sweeps, map(Path, inputs.sweeps), strict=True)),
        parity={Path(path).stem: Path(path).with_suffix("") for path in inputs.parity},
        bands={Path(path).parent.name: Path(path).parent for path in inputs.bands},
        applications=list(zip(map(Path, inputs.application_figures), captions[0], strict=True)),
    )
    names = ("warnings", "phonons", "gamma", "rmse", "structures", "labels", "fits", "errors")
    tables = Tables.read(
        **{name: inputs[name] for name in (*names, "mechanics")},
        generations=inputs.generations_table,
        applications=list(zip(inputs.application_tables, captions[1], strict=True)),
    )
    bands = BandFiles(
        dict(zip(campaign.benchmarked, map(Path, inputs.phonons_of_reference), strict=True)),
        dict(
            zip(
                campaign.fits if inputs.phonons_of_fits else (),
                map(Path, inputs.phonons_of_fits),
                strict=True,
            )
        ),
        labels={fit: label_of(campaign, fit) for fit in campaign.fits},
        rmse=tables.rmse,
        cell=campaign.phonons.cells[0],
        crystals=dict(zip(campaign.benchmarked, map(Path, inputs.crystals), strict=True)),
    )
    further = Further(
        bands=bands.packed(),
        costs=read_costs(params.logs),
        models=checksums_of(
            campaign,
            dict(zip(campaign.fits, map(Path, inputs.potentials), strict=True)),
            target.parent,
        ),
        cards={
            fit: Path(path).read_text(encoding="utf-8")
            for fit, path in zip(campaign.described, inputs.cards, strict=True)
        },
        tables={Path(path).name: Path(path) for path in inputs if path.endswith(".csv")},
    )
    newest = max(Path(path).stat().st_mtime for path in inputs)
    page = render_report(
        snakemake.wildcards.campaign,
        campaign,
        tables,
        figures,
        folder=target.parent,
        further=further,
        date=datetime.fromtimestamp(newest, UTC).date().isoformat(),
    )
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
