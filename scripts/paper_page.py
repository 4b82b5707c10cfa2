"""Figures of the papers on one page."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.files.reading_writing import replacing
    from phonsmith.paper.page import Source, render_page
    from phonsmith.paper.settings import PaperTable, PublishedTable

    def content(path: str) -> bytes | None:
        """The content of a file, if it exists."""
        return Path(path).read_bytes() if Path(path).exists() else None

    params = snakemake.params
    sources = {
        name: Source(
            one["description"],
            one["reference"],
            [PublishedTable.model_validate(values) for values in one["published"]],
        )
        for name, one in params.sources.items()
    }
    page = render_page(
        PaperTable.model_validate(params.paper),
        snakemake.wildcards.scale,
        params.figures,
        sources,
        content,
    )
    with replacing(Path(snakemake.output[0])) as temporary:
        temporary.write_text(page, encoding="utf-8")
