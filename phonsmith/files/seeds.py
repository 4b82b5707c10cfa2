"""Random seeds that depend on the object they are used for, never on the order of execution."""

import hashlib

import numpy as np


def seed_for(campaign_seed: int, structure: str, generation: int, index: int) -> int:
    """Return the seed of a supercell: 0 ... 2**32 - 1.

    Adding a structure or a cell does not change any other seed.

    Parameters
    ----------
    campaign_seed
        Seed of the campaign.
    structure
        Id of the structure.
    generation
        Number of the generation.
    index
        Index of the cell.

    Examples
    --------
    >>> seed_for(0, "mp-149", 0, 0) == seed_for(0, "mp-149", 0, 0)
    True
    >>> seed_for(0, "mp-149", 0, 0) == seed_for(0, "mp-149", 0, 1)
    False
    """
    text = f"{campaign_seed}/{structure}/{generation}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator_for(
    campaign_seed: int, structure: str, generation: int, index: int
) -> np.random.Generator:
    """Create a random generator with the seed of :func:`seed_for` from equal arguments."""
    return np.random.default_rng(seed_for(campaign_seed, structure, generation, index))
