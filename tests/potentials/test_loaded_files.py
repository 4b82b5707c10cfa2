"""What a calculator may load: files with a checksum in the campaign, or trusted ones."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ase.calculators.calculator import Calculator
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.loaded_files import check_arguments, files_of
from phonsmith.potentials.settings import PotentialSource

torch = pytest.importorskip("torch")

MACE = "mace.calculators:MACECalculator"
SHA = "0" * 64


class Trap:
    """What torch pickles as writes a file when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {Path.cwd()}/sprung",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MODELS", str(tmp_path / "m"))
    Path("m").mkdir()
    torch.save(Trap(), "medium")
    for file in ("m/trap.model", "m1.model", "cpu"):
        shutil.copy("medium", file)
    Path("m[1].model").write_bytes(b"\x80 harmless")
    return tmp_path


class Loader(Calculator):
    """A calculator of somebody's own, which loads whatever it is given."""

    implemented_properties = ("energy", "forces")

    def __init__(self, weights: Any = None, model: Any = None, **settings: Any) -> None:
        super().__init__()
        for text in (weights, model):
            for path in [text] if isinstance(text, str) else list(text or []):
                torch.load(Path(path).expanduser(), weights_only=False)


OWN = f"{__name__}:Loader"


def test_the_trap_springs(here: Path) -> None:
    make_calculator(PotentialSource(calculator=OWN, arguments={"weights": "medium"}, trust=True))
    assert (here / "sprung").exists()


@pytest.mark.parametrize(
    "settings",
    [
        # texts that the calculator expands or looks up itself
        {"calculator": MACE, "arguments": {"model_paths": "m/*.model"}},
        {"calculator": MACE, "arguments": {"model_paths": ["m/*.model"]}},
        {"calculator": MACE, "arguments": {"model_paths": "m/trap.mode[l]"}},
        {"calculator": MACE, "arguments": {"model_paths": "m/trap.model"}},
        {"calculator": MACE, "arguments": {"model_path": "*"}},
        {"calculator": MACE, "arguments": {"model_paths": "cpu"}},
        {"calculator": OWN, "arguments": {"weights": "~/m/trap.model"}},
        {"calculator": OWN, "arguments": {"weights": "$MODELS/trap.model"}},
        {"calculator": OWN, "arguments": {"weights": "m"}},
        {"calculator": OWN, "arguments": {"weights": "medium"}},
        {"calculator": OWN, "arguments": {"weights": "no-such-file-yet"}},
        {"calculator": OWN, "arguments": {"weights": {"medium": 1}}},
        {"calculator": OWN, "arguments": {"weights": [{"a": ["medium"]}]}},
        # a checksum answers for one file alone, as it is named
        {"calculator": OWN, "arguments": {"weights": "m/*.model"}, "sha256": SHA},
        {"calculator": OWN, "arguments": {"weights": "medium"}, "sha256": SHA},
        {"calculator": OWN, "arguments": {"weights": ["medium"]}, "files": {"medium": SHA}},
        {"calculator": OWN, "model": "m[1].model", "trust": False, "sha256": "of m[1].model"},
        {"calculator": OWN, "model": "cpu", "sha256": SHA},
        # ready ones load their model only
        {"calculator": "chgnet", "arguments": {"model": "medium"}},
        {"calculator": "chgnet", "arguments": {"restart": "medium"}, "trust": True},
        {"calculator": "stillinger-weber", "arguments": {"restart": "medium"}},
        {"calculator": "gap", "model": "m1.model", "arguments": {"param_filename": "medium"}},
        {"calculator": "gap", "model": "m1.model", "arguments": {"args_str": "FilePot command=x"}},
        {"calculator": "mace", "model": "cpu", "arguments": {"model_path": "m/*"}, "trust": True},
        {"calculator": "mace", "model": "cpu", "arguments": {"restart": "cpu"}, "trust": True},
    ],
    ids=str,
)
def test_what_nobody_answers_for_is_not_loaded(here: Path, settings: dict[str, Any]) -> None:
    if settings.get("sha256", "").startswith("of "):
        settings = {**settings, "sha256": sha256_of("m[1].model")}
    source = PotentialSource(**settings)
    with pytest.raises(PhonsmithError) as caught:
        check_arguments(source)
        make_calculator(source)
    assert "\n" not in str(caught.value)
    assert not (here / "sprung").exists()
    with pytest.raises(PhonsmithError):
        make_calculator(source)
    assert not (here / "sprung").exists()


def test_a_ready_mace_loads_the_file_of_that_very_name(here: Path) -> None:
    """MACE expands the name: `m[1].model` is `m1.model` for it."""
    source = PotentialSource(calculator="mace", model="m[1].model", trust=True)
    with pytest.raises(PhonsmithError, match="cannot be built"):
        make_calculator(source)
    assert not (here / "sprung").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"arguments": {"weights": "medium"}, "trust": True},
        {"arguments": {"weights": "medium"}, "sha256": ""},
        {"arguments": {"weights": "medium"}, "files": {"medium": ""}},
        {"arguments": {"weights": ["medium", "cpu"]}, "files": {"medium": "", "cpu": ""}},
        {"model": "medium", "sha256": ""},
        {"model": "medium", "arguments": {"weights": "cpu"}, "files": {"cpu": ""}, "trust": True},
    ],
    ids=str,
)
def test_what_the_campaign_answers_for_is_loaded(here: Path, settings: dict[str, Any]) -> None:
    known = sha256_of("medium")  # all traps are the same file
    if "sha256" in settings:
        settings = {**settings, "sha256": known}
    settings = {**settings, "files": dict.fromkeys(settings.get("files", {}), known)}
    source = PotentialSource(calculator=OWN, **settings)
    make_calculator(source)
    assert (here / "sprung").exists()
    named = str(settings.get("arguments"))
    assert files_of(source) == [name for name in ("medium", "cpu") if name in named]


@pytest.mark.parametrize(
    "arguments",
    [
        {"device": "cpu"},
        {"device": "cuda:1", "dtype": "float32", "default_dtype": "float64"},
        {"epsilon": 1.0, "n": [1, 2, [None, True]]},
    ],
    ids=str,
)
def test_numbers_devices_and_precisions_load_nothing(here: Path, arguments: dict[str, Any]) -> None:
    """A file of that name in the project changes nothing (`touch cpu`)."""
    source = PotentialSource(calculator=OWN, arguments=arguments)
    check_arguments(source)
    assert files_of(source) == []
    check_arguments(PotentialSource(calculator="mace", model="cpu", arguments={"device": "cpu"}))


def test_trusted_names_of_several_files_are_found_for_the_fingerprint(here: Path) -> None:
    def files(weights: object) -> list[str]:
        source = PotentialSource(calculator=OWN, arguments={"weights": weights}, trust=True)
        return files_of(source)

    assert files("m/*.model") == ["m/trap.model"]
    assert files("~/m/trap.model") == [f"{here}/m/trap.model"]
    # a folder may be where the calculator works: what it writes there must make nothing stale
    assert files("m") == []
    assert files(["medium", "GFN2-xTB"]) == ["medium"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"arguments": {"weights": b"medium"}}, "only texts, numbers"),
        ({"files": {"never-named": SHA}}, "never-named"),
        ({"files": {"m/*.model": SHA}, "arguments": {"w": "m/*.model"}}, "one file"),
    ],
)
def test_settings_say_what_is_wrong_without_looking_at_the_disk(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        PotentialSource(calculator=OWN, **settings)


def test_settings_never_look_at_the_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object, **__: object) -> None:
        raise AssertionError("looked at the disk")

    for name in ("is_file", "exists", "stat", "open", "glob"):
        monkeypatch.setattr(Path, name, looked)
    source = PotentialSource(calculator=OWN, arguments={"weights": "medium"}, files={"medium": SHA})
    source.model_dump_json()


def test_a_head_that_the_model_lacks_is_refused() -> None:
    """MACE takes the last one, with a line in its log."""

    class Model:
        available_heads = ("pbe", "r2scan")

    from phonsmith.potentials.mace import check_head

    check_head(Model(), "pbe")
    with pytest.raises(PhonsmithError, match=r"head 'pbee'.*pbe, r2scan"):
        check_head(Model(), "pbee")
