"""The campaign: its model, its consistency, its files."""
