"""The verdicts on all crystals as a table."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.errors import PhonsmithError
    from phonsmith.files import read_json
    from phonsmith.relaxation import left_out

    leaving = snakemake.params.on_change == "leave_out"
    rows = [
        {"structure": name, **read_json(path), "left_out": leaving and bool(left_out(path))}
        for name, path in zip(snakemake.params.structures, snakemake.input.verdicts, strict=True)
    ]
    changed = [f"{row['structure']}: {row['reason']}" for row in rows if row["reason"]]
    if changed and snakemake.params.on_change == "stop":
        raise PhonsmithError(
            f"structure {changed[0]}; set relaxation.on_change: leave_out or report"
        )
    pd.DataFrame(rows).drop(columns="cautions", errors="ignore").to_csv(
        snakemake.output[0], index=False
    )
