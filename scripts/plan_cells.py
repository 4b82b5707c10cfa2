"""Make the supercells of all crystals for the plan, or record why there are none."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import asdict

    from phonsmith.files.extxyz import write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.sources import Places
    from phonsmith.plan.cells import Request, cells_of_requests, present_crystals

    params = snakemake.params
    crystals = present_crystals(params.structures, snakemake.input.crystals, params.relaxed)
    requests = [
        Request(
            structure=structure,
            settings=settings,
            crystal=crystals[structure],
            generation=int(snakemake.wildcards.generation),
            supercells=params.supercells,
            seed=params.seed,
            reference=params.reference,
            places=Places(snakemake.config["mirrors"], params.sources),
            count=params.asked.get(structure, 0),
            chosen=params.chosen.get(structure, [None])[0],
            left_out=params.left_out.get(structure, ""),
        )
        for structure, settings in params.structures.items()
    ]
    cells, verdicts = [], {}
    found = cells_of_requests(requests, snakemake.threads)
    for structure, answer in zip(params.structures, found, strict=True):
        cells += answer.cells
        verdicts[structure] = {
            "problem": answer.problem,
            "relaxed": structure in params.relaxed,
            "options": [asdict(option) for option in answer.options],
        }
    write_frames(snakemake.output.cells, cells)
    write_json(snakemake.output.verdicts, verdicts)
