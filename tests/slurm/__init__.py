"""Campaigns on a real SLURM."""
