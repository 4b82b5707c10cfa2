"""Small campaigns, and Snakemake at work on the cluster."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from phonsmith.files.extxyz import read_frames
from tests.project import SNAKEMAKE, Project
from tests.slurm.cluster import wait_until
from tests.slurm.traps import key

SILICON = {
    "description": "silicon by Stillinger and Weber",
    "seed": 1,
    "structures": {"mp-149": {"file": "config/structures/silicon/mp-149.vasp"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "supercells": {
        "min_length_angstrom": 5.0,
        "min_atoms": 8,
        "max_atoms": 20,
        "rattled": {"count": 6, "std_angstrom": 0.05},
    },
    "datasets": {"test_fraction": 0.2},
    "benchmarks": {"mechanics": False},
    "phonons": {"cells": ["relaxed"], "points_per_segment": 3, "mesh_length_angstrom": 10},
    "figures": {"formats": ["svg"]},
}


STARTED: "list[subprocess.Popen[str]]" = []
"""What :func:`start` has started; conftest ends what is left of it after a test."""

REPOSITORY = Path(__file__).parents[2]


def trapped(folder: Path, **labels: int) -> dict:
    """Eight small cells in four batches, labelled by :class:`.traps.Trapped`; no fits."""
    potential = {
        **{"calculator": "tests.slurm.traps:Trapped", "trust": True},  # it loads no file
        "arguments": {"folder": str(folder)},
    }
    reference = {"method": "calculator", "potential": potential, "isolated_atoms": False}
    itself = {"kind": "existing", "potential": {"calculator": "stillinger-weber"}}
    supercells = {**SILICON["supercells"], "rattled": {"count": 7, "std_angstrom": 0.05}}
    labels = {"batches_per_structure": 4, "runtime_minutes": 20, **labels}
    parts = {"reference": reference, "fits": {"itself": itself}, "labels": labels}
    return {**SILICON, **parts, "supercells": supercells}


LABELS = "results/tiny/labels/gen0/mp-149.extxyz"
CELLS = "results/tiny/supercells/gen0/mp-149.extxyz"


def with_cells(project: Project) -> list[str]:
    """Make the cells on this machine; their keys. Cell i is in batch i modulo 4."""
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    run = project.run(CELLS)
    assert run.returncode == 0, run.stderr
    cells = read_frames(project.folder / CELLS)
    assert len(cells) == 8
    return [key(cell) for cell in cells]


def snakemake(project: Project, *arguments: str) -> list[str]:
    """The command of Snakemake with the SLURM profile; it looks at its jobs often."""
    return [
        *(str(SNAKEMAKE), *project.place("slurm")),
        *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"),
        *("--", *arguments),
    ]


def until(run: "subprocess.Popen[str]", condition: Callable[[], object], seconds: float) -> None:
    """Wait for a condition while Snakemake runs."""
    came = wait_until(lambda: run.poll() is not None or condition(), seconds)
    if not came or not condition():
        os.killpg(run.pid, signal.SIGINT)
        raise AssertionError(f"it does not come to that:\n{run.communicate(timeout=60)[0]}")


def start(project: Project, command: list[str]) -> "subprocess.Popen[str]":
    """Start a command in the project's folder, in a session of its own."""
    python = Path(sys.executable).parent
    places = {"PYTHONPATH": str(REPOSITORY), "PATH": f"{python}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project.folder,
        env={**os.environ, **places},
        start_new_session=True,
    )
    STARTED.append(process)
    return process
