"""The supercells of one crystal: made here, or those of the recorded data set."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pydantic import TypeAdapter

    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.sources import Places
    from phonsmith.labels.checks import unlabelled
    from phonsmith.labels.recorded.levels_of_crystals import RecordedFacts
    from phonsmith.labels.recorded.reading import load_recorded, with_cautions
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.labels.registry import Reference
    from phonsmith.phonons.files import save_phonons
    from phonsmith.plan.costs import core_seconds_of_labels
    from phonsmith.structures.verdicts import left_out
    from phonsmith.supercells.making import Made, make_supercells, no_supercells
    from phonsmith.supercells.settings import Supercells

    structure, facts = snakemake.params.structure, RecordedFacts()
    (crystal,) = read_frames(snakemake.input.crystal)
    if why := left_out(snakemake.input.accepted):
        print(f"no supercells: {why}")
        made = no_supercells(crystal)
    elif structure["recorded"]:
        reference = RecordedReference.model_validate(snakemake.params.reference).of(structure)
        recorded, cautions = with_cautions(
            lambda: load_recorded(
                reference,
                structure["recorded"],
                Places(snakemake.config["mirrors"], snakemake.params.sources),
                snakemake.wildcards.structure,
                crystal=structure["file"],
                supercell=structure["recorded_supercell"],
            )
        )
        facts = RecordedFacts.of(recorded.levels, cautions)
        made = Made(recorded.phonon, unlabelled(recorded.frames))
    else:
        settings, cost_of = Supercells.model_validate(snakemake.params.supercells), None
        if settings.grid is not None:
            method = TypeAdapter(Reference).validate_python(snakemake.params.reference)
            cost_of = core_seconds_of_labels(method, snakemake.wildcards.structure)
        made = make_supercells(
            snakemake.wildcards.structure,
            crystal,
            settings,
            snakemake.params.seed,
            generation=0,
            cost_of=cost_of or len,
        )
        print(*map(str, made.options), sep="\n")
    facts.save(snakemake.output.cautions)
    write_frames(snakemake.output.cells, made.cells)
    save_phonons(snakemake.output.displacements, made.phonon, made.parts)
