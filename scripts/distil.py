"""One run of a protocol by the teacher, a driver or a fit.

Snapshots of a driver have no labels: the reference method makes them.
"""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from pydantic import TypeAdapter

    from phonsmith.distillation.making import made
    from phonsmith.distillation.runs import Run
    from phonsmith.distillation.settings import Protocol
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.seeds import seed_for
    from phonsmith.labels.checks import unlabelled
    from phonsmith.labels.factory import potential_method
    from phonsmith.structures.settings import Relaxation
    from phonsmith.structures.verdicts import left_out

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    name, number = snakemake.wildcards.protocol, int(snakemake.wildcards.run)
    method = potential_method(params.reference, inputs.get("potential"))
    run = Run(
        name=name,
        protocol=TypeAdapter(Protocol).validate_python(params.protocol),
        number=number,
        seed=seed_for(params.seed, f"{params.stage}/{name}", 0, number),
        method=method.name,
        potential=method.fingerprint(),
    )
    crystal = inputs.get("crystal")
    frames, outcome = made(
        run,
        read_frames(crystal)[0] if crystal else None,
        method.calculator,
        Relaxation.model_validate(params.relaxation),
        Path(params.work),
        left_out=left_out(inputs.accepted) if crystal else "",
    )
    write_frames(output.snapshots, unlabelled(frames) if params.driven else frames)
    outcome.save(output.outcome)
