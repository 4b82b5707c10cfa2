"""Every rule passes the versions of all stages whose code it runs."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from phonsmith.running.versions import MODULES, VERSIONS, versions

STAGES = list(VERSIONS)
STAGE_OF = {module: stage for stage, modules in MODULES.items() for module in modules}

SHOWN = {"figures", "plan"}
"""Stages whose rules show results: these are inputs, and new ones rerun them."""

CHOSEN = {"add_supercells": {"datasets", "generations"}}
"""What chooses cells is no reason to choose anew: labels that are paid for would be dropped."""

LATER = {name: {"labels"} for name in ("read_structure", "relax_structure", "make_supercells")}
"""Stages further down whose code a rule runs."""

IN_PHYSICS = {"thermodynamics": {"readers"}}
"""What is part of the physics of a recorded reference, which is one of the params."""

IN_INPUTS = {"fit_errors": {"labels", "readers", "structures", "supercells"}}
"""What wrote the files of recorded forces, which are read as they are."""


LIGHT = {"settings", "kind", "registry", "addresses", "protocol", "failed", "verdicts", "factory"}
LIGHT |= {"repeats", "sites"}
"""Modules that compute no result: settings, forms of data, the choice of a method, words."""


@cache
def imports(file: Path) -> frozenset[str]:
    """The modules of phonsmith that a file imports, other than for type checking."""
    tree = ast.parse(file.read_text())
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return frozenset(
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        if name.startswith("phonsmith.")
    )


def stage_of(module: str) -> str | None:
    name = module.removeprefix("phonsmith.")
    if LIGHT & set(name.split(".")):
        return None
    while name:
        if name in STAGE_OF:
            return STAGE_OF[name]
        name = name.rpartition(".")[0]
    return None


def stages_run(script: Path, repository: Path) -> set[str]:
    """The stages of the modules that a script imports, and that these import."""
    found = set(imports(script))
    for module in imports(script):
        path = repository / module.replace(".", "/")
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists() and stage_of(module):
                found |= imports(file)
    return {stage for stage in map(stage_of, found) if stage}


def rules(repository: Path) -> dict[str, tuple[Path, list[str]]]:
    """Script and versions of each rule that has both."""
    found = {}
    for file in sorted((repository / "rules").glob("*.smk")):
        _, *texts = re.split(r"^(?=(?:use )?rule[ :]|checkpoint )", file.read_text(), flags=re.M)
        for text in texts:
            script = re.search(r'"\.\./scripts/(\w+\.py)"', text)
            version = re.search(r"version=(?:VERSIONS\[([^]]*)\]|versions\(([^)]*)\))", text)
            if script and version:
                name = re.match(r"(?:rule|checkpoint) (\w+)", text)
                stages = re.findall(r'"(\w+)"', version[1] or version[2])
                stages += ["readers"] if "readers=readers_if_recorded" in text else []
                assert name, text
                found[name[1]] = (repository / "scripts" / script[1], stages)
    return found


def test_every_rule_passes_the_versions_of_the_code_it_runs(repository: Path) -> None:
    found = rules(repository)
    assert len(found) > 40
    missing = {}
    for name, (script, passed) in found.items():
        if passed[0] in SHOWN:
            continue
        before = set(STAGES[: STAGES.index(passed[0])]) | LATER.get(name, set())
        wanted = stages_run(script, repository) & before - CHOSEN.get(name, set())
        wanted -= IN_PHYSICS.get(name, set()) | IN_INPUTS.get(name, set())
        if not wanted <= set(passed):
            missing[name] = sorted(wanted - set(passed))
    assert not missing, missing


def test_modules_of_stages_exist(repository: Path) -> None:
    for module in STAGE_OF:
        path = repository / "phonsmith" / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or path.is_dir(), module
    assert versions("labels", "fits") == {key: VERSIONS[key] for key in ("labels", "fits")}
    with pytest.raises(KeyError):
        versions("label")
