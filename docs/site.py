"""Collect the pages of the docs site: ``python docs/site.py FOLDER`` (see ``make docs``).

The pages are plain Markdown and executed notebooks, in docs/ and elsewhere, whose links work on
the code host. On the site README.md is the first page, and links to files that are no pages become
text.
"""

import base64
import json
import posixpath
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results.md",
    "config/README.md": "config.md",
}
"""Pages outside docs/: path in the project, name on the site."""

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def pages() -> dict[str, str]:
    """Return the name of every page on the site by its path in the project."""
    inside = {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    notebooks = (ROOT / "docs").glob("*.ipynb")
    return inside | {f"docs/{path.name}": f"{path.stem}.md" for path in notebooks} | ELSEWHERE


def text_of(path: str) -> str:
    """Return a page as Markdown; the figures of a notebook are images/NAME-NUMBER.png."""
    if not path.endswith(".ipynb"):
        return (ROOT / path).read_text("utf-8")
    return read_notebook(path)[0]


def read_notebook(path: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its figures by the names in the text."""
    parts, figures, name = [], {}, Path(path).stem
    for number, cell in enumerate(json.loads((ROOT / path).read_text("utf-8"))["cells"]):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            if printed := "".join(output.get("text", "")):
                parts.append(f"```text\n{printed}```")
            if picture := output.get("data", {}).get("image/png"):
                figure = f"{name}-{number}.png"
                figures[figure] = base64.b64decode(picture)
                parts.append(f"![Output of the cell above](images/{figure})")
    return "\n\n".join(parts) + "\n", figures


def on_site(text: str, path: str) -> str:
    """Return a page with links that work on the site; ``path`` is its path in the project."""
    folder, known = posixpath.dirname(path), pages()

    def replaced(link: re.Match[str]) -> str:
        target, hash_, anchor = link["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        file = posixpath.normpath(posixpath.join(folder, target))
        name = known.get(file, file.removeprefix("docs/") if file.startswith("docs/") else "")
        if not name:
            return link["text"]
        return f"{link['image']}[{link['text']}]({name}{hash_}{anchor})"

    return LINK.sub(replaced, text)


def collect(folder: Path) -> None:
    """Write all pages and images into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs/images", folder / "images")
    for path, name in pages().items():
        (folder / name).write_text(on_site(text_of(path), path), "utf-8")
        if path.endswith(".ipynb"):
            for figure, content in read_notebook(path)[1].items():
                (folder / "images" / figure).write_bytes(content)


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
