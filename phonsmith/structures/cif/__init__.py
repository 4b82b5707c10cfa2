"""phonsmith/structures/cif"""
