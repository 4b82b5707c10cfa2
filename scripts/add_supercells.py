"""The cells that a later generation labels of one crystal, chosen from candidates."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.seeds import seed_for
    from phonsmith.generations.verdict import GenerationVerdict
    from phonsmith.phonons.files import load_displacements, load_parts
    from phonsmith.potentials.calculators import load_potential
    from phonsmith.structures.verdicts import left_out
    from phonsmith.supercells.candidates import candidate_pool
    from phonsmith.supercells.selection import select
    from phonsmith.supercells.settings import Selection, Supercells

    inputs, params = snakemake.input, snakemake.params
    structure, generation = snakemake.wildcards.structure, int(snakemake.wildcards.generation)
    count = GenerationVerdict.load(inputs.verdict[0]).next_cells.get(structure, 0)
    cells = []
    if count and not left_out(inputs.accepted):
        (crystal,) = read_frames(inputs.crystal)
        selection = Selection.model_validate(params.selection)
        fits = [load_potential(path).source for path in params.potentials]
        pool = candidate_pool(
            structure,
            crystal,
            Supercells.model_validate(params.supercells),
            selection,
            campaign_seed=params.seed,
            generation=generation,
            potential=fits[0] if fits else None,
            parts=load_parts(inputs.grid, load_displacements(inputs.grid)) if inputs.grid else (),
        )
        print(*pool.stopped, sep="\n")
        chosen = select(
            pool.cells,
            [frame for path in inputs.labels for frame in read_frames(path)],
            count,
            selection,
            seed=seed_for(params.seed, f"{structure}/selection", generation, 0),
            mace=fits[0] if fits else None,
            committee=fits,
            processes=snakemake.threads,
        )
        cells = [pool.cells[index] for index in sorted(chosen)]
    write_frames(snakemake.output[0], cells)
