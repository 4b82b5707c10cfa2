"""Pages from the templates of the library: HTML, and Markdown as HTML."""

from importlib.resources import files
from typing import Any


def rendered(package: str, template: str, **content: Any) -> str:
    """Render a template with its content; nothing may be undefined, and HTML escapes text.

    A template imports another one as ``package/name``.

    Parameters
    ----------
    package
        Package that contains the template.
    template
        Name of its file.
    content
        Variables of the template.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda path: asset(*path.split("/"))),
        autoescape=template.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=template.endswith(".md.jinja"),
    )
    return environment.get_template(f"{package}/{template}").render(**content)


def html_of(markdown: str, top: int) -> str:
    """Convert Markdown with tables to HTML; HTML within it is shown as text.

    Parameters
    ----------
    markdown
        The text.
    top
        Level of its top heading in the page: 3 for ``<h3>``.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for token in tokens:
        if token.type.startswith("heading_"):
            token.tag = f"h{min(6, int(token.tag[1]) + top - 1)}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def asset(package: str, name: str) -> str:
    """Return the text of a file in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")
