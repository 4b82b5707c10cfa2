"""Messages in docs/troubleshooting.md are those that the code prints."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROW = re.compile(r"^\| `([^`]+)`( \(Snakemake\))? \|(?P<rest>.*)\|$", re.M)
SNAKEMAKE = ("api.py", "cli.py", "exceptions.py", "io/__init__.py")


def templates(text: str) -> Iterator[str]:
    """The texts in a Python source, with … for what is filled in."""
    tree = ast.parse(text)
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if node in said:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def all_templates(paths: list[Path]) -> str:
    texts = "\n".join(one for path in paths for one in templates(path.read_text()))
    return re.sub(r"\{\w+\}", "…", texts)


@pytest.fixture(scope="module")
def ours(repository: Path) -> str:
    start = (repository / "rules/start.smk").read_text()  # no Python: join adjacent strings
    start = re.sub(r"\{\w+\}", "…", re.sub(r'"\s*\n\s*f?"', "", start))
    return start + all_templates(sorted((repository / "phonsmith").rglob("*.py")))


@pytest.fixture(scope="module")
def of_snakemake() -> str:
    spec = importlib.util.find_spec("snakemake")
    assert spec is not None
    assert spec.origin is not None
    return all_templates([Path(spec.origin).parent / name for name in SNAKEMAKE])


def test_every_quoted_message_is_printed_by_the_code(
    repository: Path, ours: str, of_snakemake: str
) -> None:
    rows = list(ROW.finditer((repository / "docs/troubleshooting.md").read_text()))
    gone = []
    for row in rows:
        parts = [part for part in row[1].split("…") if part]
        pattern = "[^\n]*?".join(re.escape(part) for part in parts)
        if not re.search(pattern, of_snakemake if row[2] else ours):
            gone.append(row[1])
    assert gone == []
    assert len(rows) > 50


def test_every_row_has_a_meaning_and_a_remedy(repository: Path) -> None:
    text = (repository / "docs/troubleshooting.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert len(rows) == len(list(ROW.finditer(text)))
    for row in rows:
        assert all(cell.strip() for cell in row.strip("|").split(" | ")), row
        assert len(row.strip("|").split(" | ")) == 3, row
