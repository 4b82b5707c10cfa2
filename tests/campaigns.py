"""Settings of small campaigns."""

MP_165 = {"file": "config/structures/silicon/mp-165.vasp"}

TINY = {
    "description": "two small crystals, one GAP, and the reference itself",
    "seed": 1,
    "structures": {
        "mp-149": {"file": "config/structures/silicon/mp-149.vasp"},
        "mp-165": MP_165,
    },
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "supercells": {
        "min_length_angstrom": 6.0,
        "min_atoms": 8,
        "max_atoms": 70,
        "rattled": {"count": 5, "std_angstrom": 0.05},
    },
    "labels": {"batches_per_structure": 2},
    "datasets": {"test_fraction": 0.2},
    "fits": {
        "gap": {
            "kind": "gap",
            "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
        },
        "itself": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}},
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "figures": {"formats": ["svg"]},
}
