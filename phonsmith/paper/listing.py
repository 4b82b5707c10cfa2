"""The table of figures in ``docs/paper.md``; ``python -m phonsmith.paper.listing`` writes it."""

from pathlib import Path

from phonsmith.paper.reading import load_paper
from phonsmith.paper.settings import AtScale, PaperTable
from phonsmith.running.terminal import campaigns_here

PAPER = Path("config/paper.yaml")
PAGE = Path("docs/paper.md")
BEGIN = "<!-- written by `make schema` from config/paper.yaml -->\n"
END = "<!-- end -->\n"


def listing(table: PaperTable) -> str:
    """Return the table of all figures, and what makes them at both scales, as Markdown."""
    lines = ["| figure | shows | full scale | small scale |", "|---|---|---|---|"]
    for name, figure in table.figures.items():
        cells = [f"{name} ({table.papers[figure.paper].name})", figure.shows]
        cells += [_made_by(figure.at(scale)) for scale in ("full", "small")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _made_by(part: AtScale) -> str:
    words = [", ".join(f"`{name}`" for name in part.files)] if part.files else []
    if part.lacks:
        words.append(f"missing: {part.lacks}" if part.files else part.lacks)
    return "; ".join(words)


def page(text: str, table: PaperTable) -> str:
    """Replace the table in the text of the page.

    Parameters
    ----------
    text
        The page, with the two marks around its table.
    table
        The figures.
    """
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{listing(table)}{END}{after}"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page(text, load_paper(PAPER, campaigns_here())), encoding="utf-8")
