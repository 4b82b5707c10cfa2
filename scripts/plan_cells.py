"""The supercells of all crystals as they would be made now, or why there are none."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.plan.planner import Request, cells_to_come
    from phonsmith.running.process_pool import each

    params = snakemake.params
    requests = []
    for (structure, settings), path in zip(
        params.structures.items(), snakemake.input.crystals, strict=True
    ):
        (crystal,) = read_frames(params.relaxed.get(structure, [path])[0])
        requests.append(
            Request(
                structure=structure,
                settings=settings,
                crystal=crystal,
                generation=int(snakemake.wildcards.generation),
                supercells=params.supercells,
                seed=params.seed,
                reference=params.reference,
                mirrors=snakemake.config["mirrors"],
                sources=params.sources,
                count=params.asked.get(structure, 0),
                chosen=params.chosen.get(structure, [None])[0],
                left_out=params.left_out.get(structure, ""),
            )
        )
    found = [([], "")] * len(requests)
    processes = min(snakemake.threads, len(requests))
    for index, outcome in each(cells_to_come, requests, processes):
        if isinstance(outcome, Exception):
            raise outcome
        found[index] = outcome
    write_frames(snakemake.output.cells, [cell for cells, _ in found for cell in cells])
    write_json(
        snakemake.output.verdicts,
        {
            request.structure: {"problem": problem, "relaxed": request.structure in params.relaxed}
            for request, (_, problem) in zip(requests, found, strict=True)
        },
    )
