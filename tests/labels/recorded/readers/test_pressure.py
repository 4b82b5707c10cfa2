"""Runs under an external pressure."""

import gzip
from pathlib import Path

from phonsmith.labels.recorded.readers.vasp import read_outcar, read_vasprun


def test_runs_under_pstress_are_no_labels(shared_data: Path, tmp_path: Path) -> None:
    """Their energies hold pV."""
    (run,) = (shared_data / "sn-alpha-vasp").glob("dft_rattle_static_1_1_mp-117_1.0_0_65")
    for name, before, after, reader in (
        ("vasprun.xml", 'name="PSTRESS">      0.00', 'name="PSTRESS">      5.00', read_vasprun),
        ("OUTCAR", "PSTRESS=    0.0", "PSTRESS=    5.0", read_outcar),
    ):
        text = gzip.decompress((run / f"outputs/{name}.gz").read_bytes()).decode()
        assert text.count(before) == 1
        (tmp_path / name).write_text(text)
        assert len(reader(tmp_path / name).frames) == 1
        (tmp_path / name).write_text(text.replace(before, after))
        (refused,) = reader(tmp_path / name).refused
        assert "PSTRESS = 5 kbar" in refused
