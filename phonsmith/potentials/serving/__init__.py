"""Code that runs in the environment of a calculator."""
