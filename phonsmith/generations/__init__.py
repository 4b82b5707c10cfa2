"""The loop: verdicts on generations of potentials."""
