"""What runs in the environment of a calculator."""
