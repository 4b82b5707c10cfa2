"""The verdicts on all crystals as a table."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.errors import PhonsmithError
    from phonsmith.files import read_json

    rows = [
        {"structure": name, **read_json(path)}
        for name, path in zip(snakemake.params.structures, snakemake.input.verdicts, strict=True)
    ]
    changed = [f"{row['structure']}: {row['reason']}" for row in rows if row["reason"]]
    if changed and snakemake.params.on_change == "stop":
        raise PhonsmithError(
            f"structure {changed[0]}; leave it out, or set relaxation.on_change: report"
        )
    pd.DataFrame(rows).to_csv(snakemake.output[0], index=False)
