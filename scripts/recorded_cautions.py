"""What readers have to know of the recorded data of one crystal."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.cautions import Cautions
    from phonsmith.labels.recorded.reading import load_recorded, recorded_cautions
    from phonsmith.labels.recorded.settings import RecordedReference

    params = snakemake.params
    reference = RecordedReference.model_validate(params.reference).of(params.structure)
    found = recorded_cautions(
        lambda: load_recorded(
            reference,
            params.structure["recorded"],
            snakemake.config["mirrors"],
            params.sources,
            snakemake.wildcards.structure,
            crystal=params.structure["file"],
            supercell=params.structure["recorded_supercell"],
        )
    )
    Cautions(cautions=found).save(snakemake.output[0])
