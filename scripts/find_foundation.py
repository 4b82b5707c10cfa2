"""The foundation model of a fit: there, with the stated checksum."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.sources import sha256_of
    from phonsmith.fits.mace.foundation import find
    from phonsmith.fits.mace.settings import Foundation

    path = find(Foundation.model_validate(snakemake.params.foundation))
    write_json(snakemake.output[0], {"model": str(path), "sha256": sha256_of(path)})
