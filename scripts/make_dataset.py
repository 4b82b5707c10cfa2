"""Training and test set of one generation."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.datasets import ALWAYS_TRAIN, make_dataset, summary, without_crystals
    from phonsmith.errors import PhonsmithError
    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.relaxation import left_out
    from phonsmith.settings import Datasets

    def frames_of(paths):
        return [frame for path in paths for frame in read_frames(path)]

    inputs = snakemake.input
    crystals = {atoms.info["structure"]: atoms for atoms in frames_of(inputs.pristine)}
    pairs = zip(crystals, inputs.get("verdicts") or [None] * len(crystals), strict=True)
    gone = {name for name, verdict in pairs if left_out(verdict)}
    dataset = make_dataset(
        without_crystals(Datasets.model_validate(snakemake.params.datasets), gone),
        snakemake.params.seed,
        labels=frames_of(inputs.train_structures),
        kinds=snakemake.params.kinds,
        test_labels=frames_of(inputs.test_structures),
        crystals={name: atoms for name, atoms in crystals.items() if name not in gone},
        database_train=frames_of(inputs.database_train),
        database_test=frames_of(inputs.database_test),
        isolated_atoms=frames_of(inputs.isolated_atoms),
    )
    if not any(frame.info["kind"] not in ALWAYS_TRAIN for frame in dataset.train):
        raise PhonsmithError(
            "datasets: there is no cell to learn from; tables/structures.csv and tables/labels.csv "
            "say what became of the crystals and their cells"
        )
    write_frames(snakemake.output.train, dataset.train)
    write_frames(snakemake.output.test, dataset.test)
    dataset.baseline.save(snakemake.output.baseline)
    columns = ["structure", "kind", "generation", "index", "reason"]
    outliers = pd.DataFrame(dataset.outliers, columns=columns)
    outliers.to_csv(snakemake.output.outliers, index=False)
    summary(dataset.train, dataset.test).to_csv(snakemake.output.summary, index=False)
