"""Training and test set of one generation."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.datasets import make_dataset, summary
    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.settings import Datasets

    def frames_of(paths):
        return [frame for path in paths for frame in read_frames(path)]

    inputs = snakemake.input
    dataset = make_dataset(
        Datasets.model_validate(snakemake.params.datasets),
        snakemake.params.seed,
        labels=frames_of(inputs.train_structures),
        kinds=snakemake.params.kinds,
        test_labels=frames_of(inputs.test_structures),
        crystals={atoms.info["structure"]: atoms for atoms in frames_of(inputs.pristine)},
        database_train=frames_of(inputs.database_train),
        database_test=frames_of(inputs.database_test),
        isolated_atoms=frames_of(inputs.isolated_atoms),
    )
    write_frames(snakemake.output.train, dataset.train)
    write_frames(snakemake.output.test, dataset.test)
    dataset.baseline.save(snakemake.output.baseline)
    columns = ["structure", "kind", "generation", "index", "reason"]
    outliers = pd.DataFrame(dataset.outliers, columns=columns)
    outliers.to_csv(snakemake.output.outliers, index=False)
    summary(dataset.train, dataset.test).to_csv(snakemake.output.summary, index=False)
