"""What others read about the project: CITATION.cff, the catalog of workflows, the package."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml


@pytest.fixture(scope="module")
def citation(repository: Path) -> dict:
    return yaml.safe_load((repository / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def package(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def test_the_citation_is_valid(citation: dict) -> None:
    """Against the schema of the Citation File Format 1.2.0 (its authors, CC BY 4.0)."""
    schema = json.loads(Path(__file__).with_name("citation_schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(
        schema, format_checker=jsonschema.FormatChecker()
    )
    assert [error.message for error in validator.iter_errors(citation)] == []
    broken = {key: value for key, value in citation.items() if key != "authors"}
    assert list(validator.iter_errors(broken))


def test_the_citation_is_that_of_the_package(citation: dict, package: dict) -> None:
    assert citation["title"] == package["name"]
    assert citation["version"] == package["version"]
    assert citation["license"] == package["license"]


def test_papers_in_journals_have_a_doi(citation: dict) -> None:
    papers = [paper for paper in citation["references"] if "journal" in paper]
    assert len(papers) == 2
    assert len({paper["doi"] for paper in papers}) == 2


def test_the_catalog_of_workflows_finds_what_it_looks_for(repository: Path) -> None:
    usage = yaml.safe_load((repository / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    assert deployment["conda"] == (repository / "envs/phonsmith.yaml").exists()
    profile = usage["mandatory-flags"]["flags"].removeprefix("--profile ")
    assert (repository / profile / "config.yaml").exists()
    words = (repository / "README.md").read_text().lower()
    assert "snakemake" in words
    assert "workflow" in words
    assert (repository / "Snakefile").exists()
    assert list((repository / "rules").glob("*.smk"))
    assert (repository / "config/README.md").exists()
