"""HTML pages from the templates of the library."""

from importlib.resources import files
from typing import Any


def rendered(package: str, template: str, **content: Any) -> str:
    """Render a template with its content; text in it is escaped, and nothing may be undefined.

    Parameters
    ----------
    package
        Package that contains the template.
    template
        Name of its file.
    content
        Variables of the template.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(asset(package, template)).render(**content)


def asset(package: str, name: str) -> str:
    """Return the text of a file in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")
