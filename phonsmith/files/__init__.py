"""Files and settings: errors, JSON records, extxyz, sources, pickles, seeds. Imports no stage."""
