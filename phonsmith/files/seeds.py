"""Random seeds that depend on what is made, never on the order in which it is made."""

import hashlib

import numpy as np


def seed_for(campaign_seed: int, structure: str, generation: int, index: int) -> int:
    """Seed of supercell ``index`` of ``structure`` in ``generation``: 0 ... 2**32 - 1.

    Adding a structure or a cell leaves the seeds of all others as they are.

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
    """Random generator seeded with :func:`seed_for`."""
    return np.random.default_rng(seed_for(campaign_seed, structure, generation, index))
