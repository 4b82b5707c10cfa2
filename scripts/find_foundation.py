"""The foundation model of a fit: there, with the stated checksum."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files import write_json
    from phonsmith.fits.foundation import find
    from phonsmith.recipes import Foundation
    from phonsmith.sources import sha256_of

    path = find(Foundation.model_validate(snakemake.params.foundation))
    write_json(snakemake.output[0], {"model": str(path), "sha256": sha256_of(path)})
