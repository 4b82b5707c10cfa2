"""Environments of calculators, which some tests need."""

from pathlib import Path

import pytest

from phonsmith.potentials.environments import environment


def require_environment(name: str, repository: Path) -> None:
    """Skip a test if the repository has no such environment."""
    if not (repository / environment(name).record).is_file():
        pytest.skip(f"make it with: python -m phonsmith.potentials.environments {name}")


def share_environment(name: str, repository: Path, folder: Path) -> None:
    """Let a project use the repository's environments; skip the test without the named one."""
    require_environment(name, repository)
    (folder / ".environments").symlink_to(repository / ".environments")
