"""Everything about a campaign on one page."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from datetime import UTC, datetime
    from pathlib import Path

    from phonsmith.campaign import Campaign
    from phonsmith.figures.report import FigureFiles, Tables, render_report
    from phonsmith.files import replacing

    inputs, target = snakemake.input, Path(snakemake.output[0])
    campaign = Campaign.model_validate(snakemake.params.campaign)
    figures = FigureFiles(
        by_structure=Path(inputs.by_structure) if inputs.by_structure else None,
        sweeps=dict(zip(campaign.sweeps, map(Path, inputs.sweeps), strict=True)),
        phonon_vs_force=Path(inputs.phonon_vs_force) if inputs.phonon_vs_force else None,
        database_errors=Path(inputs.database_errors) if inputs.database_errors else None,
        generations=Path(inputs.generations) if inputs.generations else None,
        parity={Path(path).stem: Path(path).with_suffix("") for path in inputs.parity},
        bands={Path(path).parent.name: Path(path).parent for path in inputs.bands},
        applications=[
            (Path(path), caption)
            for path, (_, caption) in zip(
                inputs.application_figures, snakemake.params.application_figures, strict=True
            )
        ],
    )
    tables = Tables.read(
        warnings=inputs.warnings,
        phonons=inputs.phonons,
        gamma=inputs.gamma,
        rmse=inputs.rmse or None,
        structures=inputs.structures,
        labels=inputs.labels,
        fits=inputs.fits or None,
        errors=inputs.errors or None,
        mechanics=inputs.mechanics or None,
        generations=inputs.generations_table or None,
        applications=[
            (path, caption)
            for path, (_, caption) in zip(
                inputs.application_tables, snakemake.params.application_tables, strict=True
            )
        ],
    )
    newest = max(Path(path).stat().st_mtime for path in inputs)
    page = render_report(
        snakemake.wildcards.campaign,
        campaign,
        tables,
        figures,
        folder=target.parent,
        date=datetime.fromtimestamp(newest, UTC).date().isoformat(),
    )
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
