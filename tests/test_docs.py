"""Links of the docs lead somewhere, on code host and site, and the site has all pages."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ELSEWHERE = re.compile(r"[a-z]+:")


@pytest.fixture(scope="module")
def site(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", repository / "docs/site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def links(text: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", without_code(text))


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as code hosts make them."""
    found: set[str] = set()
    for heading in re.findall(
        r"^#+ (.*?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def test_every_link_leads_to_a_file_and_a_heading(repository: Path, site: ModuleType) -> None:
    broken, count = [], 0
    for path in site.pages():
        page = repository / path
        for link in links(site.text_of(path)):
            if ELSEWHERE.match(link):
                continue
            count += 1
            if link.startswith("images/") and path.endswith(".ipynb"):
                continue  # inside the notebook
            name, _, anchor = link.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists():
                broken.append(f"{path}: {link}: no such file")
            elif anchor and anchor not in anchors(file.read_text()):
                broken.append(f"{path}: {link}: no such heading")
    assert broken == []
    assert count > 100


def test_links_on_the_site_lead_to_its_pages(
    repository: Path, site: ModuleType, tmp_path: Path
) -> None:
    site.collect(tmp_path / "pages")
    for page in (tmp_path / "pages").glob("*.md"):
        for link in links(page.read_text()):
            if not ELSEWHERE.match(link) and (name := link.partition("#")[0]):
                assert (page.parent / name).exists(), (page.name, link)
    assert "docs/" not in "".join(links((tmp_path / "pages/index.md").read_text()))


def pages_in(navigation: Any) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation if isinstance(navigation, list) else navigation.values()
    return [page for part in parts for page in pages_in(part)]


def test_the_navigation_names_every_page_once(repository: Path, site: ModuleType) -> None:
    text = re.sub(r"!!python\S+ ", "", (repository / "mkdocs.yml").read_text())
    named = pages_in(yaml.safe_load(text)["nav"])
    assert sorted(named) == sorted(site.pages().values())
    assert named[0] == "index.md"


def test_a_new_user_comes_first(repository: Path) -> None:
    text = re.sub(r"!!python\S+ ", "", (repository / "mkdocs.yml").read_text())
    first = pages_in(yaml.safe_load(text)["nav"])
    order = ["first-campaign", "own-material-vasp", "own-material-espresso", "reference-methods"]
    order += ["finetuning", "cluster", "reading-tables", "limitations", "settings", "definitions"]
    places = [first.index(f"{name}.md") for name in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[a](docs/plan.md#x)", "README.md", "[a](plan.md#x)"),
        ("![a](docs/images/a.png)", "README.md", "![a](images/a.png)"),
        ("[a](../README.md)", "docs/plan.md", "[a](index.md)"),
        ("[a](../results/README.md)", "docs/plan.md", "[a](results.md)"),
        ("[a](../docs/plan.md)", "results/README.md", "[a](plan.md)"),
        ("[a](LICENSE)", "README.md", "a"),
        ("[a](https://example.org)", "README.md", "[a](https://example.org)"),
        ("[a](#here)", "docs/plan.md", "[a](#here)"),
    ],
)
def test_links_are_turned(site: ModuleType, text: str, path: str, expected: str) -> None:
    assert site.on_site(text, path) == expected


def test_every_campaign_is_in_the_list_of_campaigns(repository: Path) -> None:
    page = (repository / "docs/examples.md").read_text()
    table = page[: page.index("\n## ")]
    named = set(re.findall(r"`([\w-]+)`", table))
    assert {path.stem for path in repository.glob("config/campaigns/*.yaml")} <= named


def test_commands_of_new_campaigns_name_known_references(repository: Path) -> None:
    """In the pages: ``python -m phonsmith new … --reference NAME``."""
    from phonsmith.campaign.drafting import known_references

    text = "".join(
        path.read_text() for path in [*repository.glob("docs/*.md"), repository / "README.md"]
    )
    named = re.findall(r"phonsmith new [^\n`]*--reference (\w[\w-]*)", text)
    assert len(named) > 3
    assert set(named) <= set(known_references())
