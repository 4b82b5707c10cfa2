"""Count the cells of third-order force constants, with an example for each crystal."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.conductivity.settings import ThirdOrder
    from phonsmith.conductivity.third_order import cells_to_come
    from phonsmith.files.extxyz import write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.seeds import seed_for
    from phonsmith.plan.cells import present_crystals

    params = snakemake.params
    settings = ThirdOrder.model_validate(params.third_order)
    cells, counts = [], {}
    crystals = present_crystals(params.structures, snakemake.input.crystals, params.relaxed)
    for structure, crystal in crystals.items():
        if structure not in params.conducting:
            continue
        seed = seed_for(params.seed, structure, 0, 0)
        cell, count, problem = cells_to_come(crystal, settings, seed, params.mesh_of)
        counts[structure] = {"count": count, "problem": problem}
        if cell is not None:
            cell.info.update(structure=structure, kind="displaced")
            cells.append(cell)
    write_frames(snakemake.output.cells, cells)
    write_json(snakemake.output.counts, counts)
