"""Third-order force constants of one crystal from the forces on its displaced cells."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.conductivity.settings import ThirdOrder
    from phonsmith.conductivity.third_order import (
        load_displacements,
        produce,
        save_third_order,
        with_forces,
    )
    from phonsmith.files.errors import MissingLabels, UnusablePotential
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.phonons.files import load_phonons

    inputs, output = snakemake.input, snakemake.output
    record = read_json(inputs.record)
    labels = [frame for path in inputs.labels for frame in read_frames(path)]
    failures = [failure for path in inputs.failures for failure in read_json(path)]
    if not record["reason"]:
        try:
            third = load_displacements(inputs.displacements)
            if not record["recorded"]:
                third = with_forces(third, labels)
            settings = ThirdOrder.model_validate(snakemake.params.third_order)
            third = produce(third, load_phonons(snakemake.params.phonons), settings)
            save_third_order(third, output.yaml, output.fc3, output.fc2)
        except (MissingLabels, UnusablePotential) as error:
            first = f" (the first: {failures[0]['reason']})" if failures else ""
            record["reason"] = f"{error}{first}"
    if record["reason"]:
        print(record["reason"])
        for path in (output.yaml, output.fc3, output.fc2):
            Path(path).touch()  # no force constants; the record contains the reason
    write_json(output.record, {**record, "failures": len(failures)})
