"""The line of a program's output that says why it failed."""

import re

_BOX = re.compile(r"^-{20,}\s*\n(.*?)^-{20,}\s*$", re.MULTILINE | re.DOTALL)
"""A message of Open MPI, between lines of dashes."""

_CONSEQUENCE = re.compile(
    r"Primary job|MPI_ABORT was invoked|mpirun (detected|noticed) that|prterun (detected|noticed)"
)
"""Messages of a launcher on the end of a program, which has given its reason before."""

_REASON = re.compile(
    r"error\b|\bfatal\b|\bcannot\b|\bcould not\b|\bunable to\b|not found|no such|denied|"
    r"\bfailed\b|invalid|illegal|\babort",
    re.IGNORECASE,
)

LONGEST = 200


def reason_of(output: str) -> str:
    """Return the line or sentence of an output that says what is wrong; its last line if none does.

    A launcher such as mpirun says so in the first paragraph of a box, and ends with advice; a
    program in the first line on an error.

    >>> reason_of("starting\\nFortran runtime error: End of file\\nError termination. Backtrace:")
    'Fortran runtime error: End of file'
    """
    boxes = [box.strip() for box in _BOX.findall(output)]
    lines = _lines(_BOX.sub("", output))
    causes = [box for box in boxes if not _CONSEQUENCE.match(box)]
    if reasons := [line for line in lines if _REASON.search(line)]:
        return reasons[0][:LONGEST]
    if causes:
        return _first_paragraph(causes[0])
    if boxes:
        return _first_paragraph(boxes[-1])
    return lines[-1][:LONGEST] if lines else ""


def _first_paragraph(box: str) -> str:
    return " ".join(re.split(r"\n\s*\n", box)[0].split())[:LONGEST]


def _lines(text: str) -> list[str]:
    """The lines with words, their spaces merged."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" -|*=\t")]
