"""Decide whether a campaign continues with a relaxed crystal, omits it, or stops."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.reading_writing import write_json
    from phonsmith.structures.verdicts import Verdict, require_accepted, why_left_out

    verdict, on_change = Verdict.load(snakemake.input[0]), snakemake.params.on_change
    require_accepted(snakemake.wildcards.structure, verdict, on_change)
    write_json(snakemake.output[0], {"left_out": why_left_out(verdict, on_change)})
