"""One crystal, from its file, a database, the recorded data set, or another one of the campaign."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.sources import Places
    from phonsmith.labels.recorded.displacements import crystal_of
    from phonsmith.labels.recorded.reading import load_recorded
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.structures.reading import read_structure

    structure = snakemake.params.structure
    if structure["recorded"]:
        reference = RecordedReference.model_validate(snakemake.params.reference).of(structure)
    if structure["recorded"] and structure["file"]:
        exact = reference.format in ("force_sets", "force_constants")
        crystal = (read_structure if exact else crystal_of)(structure["file"])
    elif structure["recorded"]:
        places = Places(snakemake.config["mirrors"], snakemake.params.sources)
        crystal = load_recorded(reference, structure["recorded"], places).crystal
    elif structure["scaled"]:
        (crystal,) = read_frames(snakemake.input.crystal)
        crystal.set_cell(structure["scaled"]["linear"] * crystal.cell[:], scale_atoms=True)
    else:
        moments = structure.get("magnetic_moments_bohr")
        crystal = read_structure(snakemake.input.crystal, moments)
    crystal.info["structure"] = snakemake.wildcards.structure
    write_frames(snakemake.output[0], [crystal])
