"""The supercells of one crystal: made here, or those of the recorded data set."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.labels import unlabelled
    from phonsmith.labels.recorded import load_recorded, with_cautions
    from phonsmith.labels.recorded_levels import RecordedFacts
    from phonsmith.phonons import save_phonons
    from phonsmith.references import RecordedReference
    from phonsmith.settings import Supercells
    from phonsmith.supercells import make_supercells, no_supercells
    from phonsmith.verdicts import left_out

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
