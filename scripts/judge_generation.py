"""Judge the fits of this generation, and request cells for the next."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from collections import Counter

    import pandas as pd

    from phonsmith.benchmarks.comparison import load_benchmarks
    from phonsmith.benchmarks.tables import rmse_table
    from phonsmith.files.extxyz import read_frames
    from phonsmith.generations.properties import property_of
    from phonsmith.generations.settings import Loop
    from phonsmith.generations.verdict import GenerationVerdict, judge, test_set_force_rmse

    inputs, params = snakemake.input, snakemake.params
    labels = [frame for path in inputs.labels for frame in read_frames(path)]
    errors = dict(zip(params.fits, map(pd.read_csv, inputs.errors), strict=True))
    loop = Loop.model_validate(params.loop)
    paths = iter(inputs.properties)
    properties = {
        name: {fit: property_of(goal, next(paths)) for fit in params.trained}
        for name, goal in loop.goal.properties.items()
    }
    verdict = judge(
        snakemake.wildcards.campaign,
        int(snakemake.wildcards.generation),
        loop,
        rmse=rmse_table(load_benchmarks(inputs.benchmarks)),
        groups=params.groups,
        deciding=params.deciding,
        without_potential=params.without_potential,
        learnt=params.learnt,
        labels=Counter(str(frame.info["structure"]) for frame in labels),
        force_rmse=test_set_force_rmse(errors),
        properties=properties,
        before=GenerationVerdict.load(inputs.before[0]) if inputs.before else None,
    )
    verdict.save(snakemake.output[0])
    print(verdict.in_words())
