"""The displaced cells of one crystal that third-order force constants follow from."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.conductivity.cells_of_fits import third_order_of_fit
    from phonsmith.conductivity.mesh import check_before_labels
    from phonsmith.conductivity.settings import Conductivity
    from phonsmith.conductivity.third_order import cells_to_label, save_displacements
    from phonsmith.files.extxyz import write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.seeds import seed_for
    from phonsmith.files.sources import Places
    from phonsmith.labels.recorded.reading import load_recorded
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.phonons.files import load_phonons
    from phonsmith.structures.verdicts import Verdict, left_out

    structure, params = snakemake.wildcards.structure, snakemake.params
    fit = snakemake.input.fit
    verdicts = snakemake.input.get("verdicts")
    why = left_out(snakemake.input.accepted)
    recorded = None
    if params.recorded:
        recorded = load_recorded(
            RecordedReference.model_validate(params.reference).of({"recorded_format": "phono3py"}),
            params.recorded,
            Places(snakemake.config["mirrors"], params.sources),
            structure,
        ).third
    elif fit:
        recorded, why_none = third_order_of_fit(*map(Path, fit[:2]), structure)
        why = why or why_none
    settings = Conductivity.model_validate({**params.effort, "third_order": params.third_order})
    reason = why or (Verdict.load_each(verdicts)[structure].reason if verdicts else "")
    if not reason:
        check_before_labels(structure, load_phonons(snakemake.input.template), settings)
    third, cells, record = cells_to_label(
        structure,
        load_phonons(params.phonons),
        settings.third_order,
        seed_for(params.seed, structure, 0, 0),
        mesh_of=params.mesh_of,
        recorded=recorded,
        reason=reason,
        memory_mb=settings.memory_mb,
    )
    save_displacements(snakemake.output.displacements, third)
    write_frames(snakemake.output.cells, cells)
    write_json(snakemake.output.record, record)
