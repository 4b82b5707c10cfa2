"""Data generated and labelled by a teacher."""
