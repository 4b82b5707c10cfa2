"""The supercells of one crystal: made here, or those of the recorded data set."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.labels.checks import unlabelled
    from phonsmith.labels.recorded.levels_of_crystals import RecordedFacts
    from phonsmith.labels.recorded.reading import load_recorded, with_cautions
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.phonons.files import save_phonons
    from phonsmith.structures.verdicts import left_out
    from phonsmith.supercells.cells import make_supercells, no_supercells
    from phonsmith.supercells.settings import Supercells

    structure, facts = snakemake.params.structure, RecordedFacts()
    (crystal,) = read_frames(snakemake.input.crystal)
    if why := left_out(snakemake.input.accepted):
        print(f"no supercells: {why}")
        phonon, cells = no_supercells(crystal)
    elif structure["recorded"]:
        reference = RecordedReference.model_validate(snakemake.params.reference).of(structure)
        recorded, cautions = with_cautions(
            lambda: load_recorded(
                reference,
                structure["recorded"],
                snakemake.config["mirrors"],
                snakemake.params.sources,
                snakemake.wildcards.structure,
                crystal=structure["file"],
                supercell=structure["recorded_supercell"],
            )
        )
        facts = RecordedFacts.of(recorded.levels, cautions)
        phonon = recorded.phonon
        cells = unlabelled(recorded.frames)
    else:
        phonon, cells = make_supercells(
            snakemake.wildcards.structure,
            crystal,
            Supercells.model_validate(snakemake.params.supercells),
            snakemake.params.seed,
            generation=0,
        )
    facts.save(snakemake.output.cautions)
    write_frames(snakemake.output.cells, cells)
    save_phonons(snakemake.output.displacements, phonon)
