"""The notebook of the docs runs, and prints what is stored in it."""

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

NUMBER = re.compile(r"-?\d+\.\d+")


def printed(cell: dict) -> str:
    assert not any(output.get("name") == "stderr" for output in cell["outputs"])
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def test_every_cell_prints_what_is_stored(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers with a decimal point may differ a little between machines; all else is equal."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(repository / "docs")
    names: dict = {"__name__": "__main__"}
    cells = json.loads(Path("library.ipynb").read_text())["cells"]
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == list(range(1, len(codes) + 1))
    for cell in codes:
        with redirect_stdout(StringIO()) as out:
            exec("".join(cell["source"]), names)
        found, stored = out.getvalue(), printed(cell)
        assert NUMBER.sub("#", found) == NUMBER.sub("#", stored)
        # the errors of the fit are small, and depend on the last digits of its training
        expected = [float(number) for number in NUMBER.findall(stored)]
        margin = 0.5 if "meV" in stored else 0.005
        assert [float(number) for number in NUMBER.findall(found)] == pytest.approx(
            expected, rel=0.001, abs=margin
        )
    assert names["comparison"].rmse_thz == pytest.approx(0.008, abs=0.003)
    assert names["of_reference"].frequencies_thz.max() == pytest.approx(17.83, abs=0.01)
