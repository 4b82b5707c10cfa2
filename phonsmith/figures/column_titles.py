"""Titles of columns for readers: the unit in brackets, usual abbreviations, a capital."""

_UNITS = {
    "ev_per_formula_unit": "eV per formula unit",
    "s_per_atom_step": "s per atom and step",
    "angstrom3_per_atom": "Å³/atom",
    "ev_per_angstrom": "eV/Å",
    "inverse_angstrom": "1/Å",
    "j_per_mol_k": "J/(mol K)",
    "mev_per_atom": "meV/atom",
    "ev_per_atom": "eV/atom",
    "w_per_m_k": "W/mK",
    "g_per_cm3": "g/cm³",
    "angstrom3": "Å³",
    "angstrom": "Å",
    "percent": "%",
    "degree": "degrees",
    "kelvin": "K",
    "per_k": "1/K",
    "gpa": "GPa",
    "thz": "THz",
    "ev": "eV",
    "mb": "MB",
    "ps": "ps",
    "s": "s",
}
"""Unit by the end of a name; a longer end comes before its own end."""

_STATISTICS = {"std": "standard deviation", "mean": "mean"}

_WORDS = {
    **{name: name.upper() for name in ("rmse", "mae", "cpu", "nac", "dos", "soap", "sre", "srme")},
    "kappa": "κ",
    "structure": "crystal",
    "q": "q",
}


def title_of(name: str) -> str:
    """Return the title of a column of a CSV file.

    >>> title_of("kappa_w_per_m_k"), title_of("kappa_srme"), title_of("structure")
    ('κ (W/mK)', 'κ SRME', 'Crystal')
    >>> title_of("energy_mae_ev_per_atom_std")
    'Energy MAE, standard deviation (eV/atom)'
    >>> title_of("angle_std_degree_mean"), title_of("300 K"), title_of("s")
    ('Angle std, mean (degrees)', '300 K', 'S')
    """
    quantity, unit = name, ""
    head, _, end = name.rpartition("_")
    statistic = _STATISTICS[end] if head and end in _STATISTICS else ""
    if statistic:
        quantity = head
    for ending, symbol in _UNITS.items():
        if quantity.endswith(f"_{ending}"):
            quantity, unit = quantity.removesuffix(f"_{ending}"), symbol
            break
    words = " ".join(_WORDS.get(word, word) for word in quantity.split("_") if word)
    title = words[:1].upper() + words[1:] if words[:1].isascii() and words[:2] != "q " else words
    return title + (f", {statistic}" if statistic else "") + (f" ({unit})" if unit else "")
