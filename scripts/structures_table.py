"""The verdicts on all crystals as a table."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.files import read_json

    rows = [
        {"structure": name, **read_json(path)}
        for name, path in zip(snakemake.params.structures, snakemake.input.verdicts, strict=True)
    ]
    pd.DataFrame(rows).to_csv(snakemake.output[0], index=False)
