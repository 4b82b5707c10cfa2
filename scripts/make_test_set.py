"""Test set of one generation, and tables of all its cells and of those that were left out."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.datasets.sets import summary, test_cells
    from phonsmith.datasets.settings import Datasets
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.reading_writing import read_json

    def frames_of(paths):
        return [frame for path in paths for frame in read_frames(path)]

    inputs, output = snakemake.input, snakemake.output
    settings = Datasets.model_validate(snakemake.params.datasets)
    labels = frames_of(inputs.test_structures)
    database = frames_of([*inputs.database_test, *inputs.distilled_test])
    cells, left_out = test_cells(settings, labels, database)
    test = read_frames(inputs.held_back) + cells
    write_frames(output.test, test)
    columns = ["structure", "kind", "generation", "index", "reason"]
    outliers = pd.DataFrame(read_json(inputs.outliers) + left_out, columns=columns)
    outliers.to_csv(output.outliers, index=False)
    summary(read_frames(inputs.train), test).to_csv(output.summary, index=False)
