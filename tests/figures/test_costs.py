"""Costs by stage, from the benchmark files of Snakemake."""

import pytest

from phonsmith.figures.costs import costs_table, read_costs

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def logs(tmp_path):
    for name, seconds, memory, cpu in (
        ("relaxed/mp-149.tsv", 36.0, "512.0", "18.0"),
        ("labels/gen0/mp-149/0.tsv", 7200.0, "2048.0", "28800.0"),
        ("labels/gen0/mp-149/1.tsv", 3600.0, "1024.0", "14400.0"),
        ("labels/isolated_atoms.tsv", 0.01, "-", "-"),  # too short to be measured
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEAD}{seconds}\t-\t{memory}\t1\t1\t1\t0\t0\t1\t{cpu}\n")
    (tmp_path / "labels/broken.tsv").write_text("")
    (tmp_path / "labels/gen0/mp-149/0.log").write_text("done")
    return tmp_path


def test_costs_are_summed_by_stage(logs):
    costs = read_costs(logs).set_index("stage")
    assert list(costs.index) == ["labels", "structures"]
    labels = costs.loc["labels"]
    assert labels.jobs == 3
    assert labels.core_hours == pytest.approx(12)
    assert labels.job_hours == pytest.approx(3, abs=1e-5)
    assert labels.longest_job_hours == pytest.approx(2)
    assert labels.peak_memory_gb == pytest.approx(2)
    assert costs.loc["structures"].core_hours == pytest.approx(0.005)


def test_the_last_row_is_the_total(logs):
    table = costs_table(read_costs(logs))
    assert table.total
    assert [cell.text for cell in table.rows[-1]] == ["all", "4", "12", "3.010", "2.000", "2.0"]


def test_without_measurements_there_is_no_table(tmp_path):
    assert costs_table(read_costs(tmp_path)) is None
    assert costs_table(read_costs(tmp_path / "missing")) is None
