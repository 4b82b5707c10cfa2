"""SevenNet potentials, fine-tuned from a model of its package."""
