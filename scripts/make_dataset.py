"""Training set of one generation, the cells of its crystals held back as tests, the energy zero."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.sets import ALWAYS_TRAIN, make_dataset, without_crystals
    from phonsmith.datasets.settings import Datasets
    from phonsmith.files.errors import PhonsmithError
    from phonsmith.files.extxyz import of_kinds, read_frames, write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.structures.verdicts import left_out

    def frames_of(paths):
        return [frame for path in paths for frame in read_frames(path)]

    inputs = snakemake.input
    crystals = {atoms.info["structure"]: atoms for atoms in frames_of(inputs.pristine)}
    pairs = zip(crystals, inputs.accepted, strict=True)
    omitted = {name for name, path in pairs if left_out(path)}
    dataset = make_dataset(
        without_crystals(Datasets.model_validate(snakemake.params.datasets), omitted),
        snakemake.params.seed,
        labels=frames_of(inputs.train_structures),
        kinds=snakemake.params.kinds,
        # a fit learns the isolated atom of every element, whatever the role of its structure
        test_labels=of_kinds(frames_of(inputs.recorded_atoms), ["isolated_atom"]),
        crystals={name: atoms for name, atoms in crystals.items() if name not in omitted},
        database_train=frames_of([*inputs.database_train, *inputs.distilled_train]),
        isolated_atoms=frames_of(inputs.isolated_atoms),
    )
    if not any(frame.info["kind"] not in ALWAYS_TRAIN for frame in dataset.train):
        raise PhonsmithError(
            "datasets: no labelled training cells; tables/structures.csv and tables/labels.csv "
            "list the state of all crystals and cells"
        )
    write_frames(snakemake.output.train, dataset.train)
    write_frames(snakemake.output.held_back, dataset.test)
    dataset.baseline.save(snakemake.output.baseline)
    write_json(snakemake.output.outliers, dataset.outliers)
