"""Every rule of a job has a message, so that runs and dry runs print a line instead of a block."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
RULE = re.compile(r"^(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)*)", re.MULTILINE)
RULES = {
    name: body
    for path in [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "rules").glob("*.smk"))]
    for name, body in RULE.findall(path.read_text(encoding="utf-8"))
}
JOBS = [name for name, body in RULES.items() if re.search(r"^    (script|run|shell):", body, re.M)]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_a_message(name: str) -> None:
    assert "\n    message:\n" in RULES[name]


def test_the_rules_are_found() -> None:
    assert {"structures_table", "fit", "judge_generation"} <= set(JOBS)
