"""Training and test sets."""
