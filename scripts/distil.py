"""One run of the teacher, with its labelled snapshots."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.distillation.runs import Run, perform_from
    from phonsmith.distillation.settings import Distilled
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.seeds import seed_for
    from phonsmith.labels.factory import reference_method
    from phonsmith.structures.settings import Relaxation
    from phonsmith.structures.verdicts import left_out

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    name, number = snakemake.wildcards.protocol, int(snakemake.wildcards.run)
    teacher = reference_method(params.reference)
    run = Run(
        name=name,
        protocol=Distilled.model_validate({"protocol": params.protocol}).protocol,
        number=number,
        seed=seed_for(params.seed, f"distillation/{name}", 0, number),
        method=teacher.name,
        potential=teacher.fingerprint(),
    )
    crystal = inputs.get("crystal")
    frames, outcome = perform_from(
        run,
        read_frames(crystal)[0] if crystal else None,
        teacher.calculator,
        Relaxation.model_validate(params.relaxation),
        Path(params.work),
        left_out=left_out(inputs.accepted) if crystal else "",
    )
    write_frames(output.snapshots, frames)
    outcome.save(output.outcome)
