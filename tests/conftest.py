"""Shared fixtures."""

import os
from pathlib import Path

import pytest

from phonsmith.running.job_context import limit_threads

limit_threads(1)  # as in a job: tests run side by side, and threads that wait take time from others

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: of tests in two processes, short files are to come last."""
    items.sort(key=lambda item: item.path.parent.name != "workflow")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Published DFT data (see docs/data.md); tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("PHONSMITH_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"published data not found at {folder}")
    return folder
