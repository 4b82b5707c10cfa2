"""The verdicts on all crystals as a table."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import fields

    import pandas as pd

    from phonsmith.verdicts import NOT_IN_TABLES, Verdict, left_out

    inputs = snakemake.input
    rows = [
        {"structure": name, **Verdict.load(path).model_dump(), "left_out": bool(left_out(accepted))}
        for name, path, accepted in zip(
            snakemake.params.structures, inputs.verdicts, inputs.accepted, strict=True
        )
    ]
    columns = ["structure", *(field.name for field in fields(Verdict)), "left_out"]
    table = pd.DataFrame(rows, columns=columns)
    table.drop(columns=NOT_IN_TABLES).to_csv(snakemake.output[0], index=False)
