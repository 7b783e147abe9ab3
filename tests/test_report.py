"""report.md and the README show what models/results.json says."""

import shutil
from pathlib import Path

import pytest

from toolkit.results import load_records, save_record
from tools.pictures import PICTURES, picture
from tools.report import refresh_readme, speech_tables, tracks_table, write_report

ROOT = Path(__file__).parent.parent
RECORDS = load_records(ROOT / "models" / "results.json")


@pytest.fixture
def project(tmp_path):
    for folder in ("models", "studies"):
        (tmp_path / folder).mkdir()
        shutil.copy(ROOT / folder / "results.json", tmp_path / folder)
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_the_committed_report_is_the_one_that_the_results_give(project):
    write_report(project)
    assert (project / "report.md").read_text() == (ROOT / "report.md").read_text(), "make report"


def test_the_committed_readme_has_the_table_that_the_results_give(project):
    refresh_readme(project)
    assert (project / "README.md").read_text() == (ROOT / "README.md").read_text(), "make report"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_a_models_figures_stand_in_report_and_readme(record):
    for name in ("report.md", "README.md"):
        rows = [line for line in (ROOT / name).read_text().splitlines() if line.startswith("| ")]
        row = next(row for row in rows if row.startswith(f"| {record['technique']} "))
        assert f"{record['accuracy']:.2%}" in row
        assert f" {record['bytes_gzip']:,} " in row


def test_another_figure_changes_the_report(project):
    write_report(project)
    before = (project / "report.md").read_text()
    save_record(RECORDS[0] | {"bytes_gzip": 123_456}, project / "models" / "results.json")
    table = write_report(project)
    assert "123,456" in table and "123,456" in (project / "report.md").read_text()
    assert "123,456" not in before


def test_figures_of_other_data_are_marked(project):
    save_record(RECORDS[0] | {"canonical": False}, project / "models" / "results.json")
    assert write_report(project).startswith("NOT Sign Language MNIST")
    report = (project / "report.md").read_text()
    assert "NOT Sign Language MNIST" in report
    assert "Other seeds" not in report  # these are figures of the real data


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_of_the_report_is_the_plot_in_its_notebook(name):
    notebook, title = PICTURES[name]
    plot = picture(ROOT / f"{notebook}.ipynb", title)
    assert plot and plot == (ROOT / "figures" / f"{name}.png").read_bytes(), "make report"
    assert f"(figures/{name}.png)" in (ROOT / "report.md").read_text()


def test_compared_settings_stand_in_a_table_the_smallest_file_first():
    settings = {"clusters": [16, 4], "learning_rate": 0.003}
    files = {"int8": {"accuracy": 0.97, "bytes_gzip": 12_000}}
    small = {"dynamic range": {"accuracy": 0.95, "bytes_gzip": 9_000}}
    table = tracks_table(
        [
            {"track": "clustered", "settings": settings, "files": files},
            {"track": "clustered", "settings": settings | {"clusters": [8, 3]}, "files": small},
        ]
    )
    assert table["gzip bytes"].tolist() == ["9,000", "12,000"]
    assert table["settings"].tolist()[0] == "clusters 8-3, learning rate 0.003"
    assert table["held-out photos"].tolist() == ["95.00%", "97.00%"]


def test_a_trial_of_speech_is_told_by_what_differs_from_the_notebooks():
    trial = {"recipe": "race", "accuracy": 0.95, "accuracy_worse": 0.9, "bytes_gzip": 2345}
    settings = {"widths": [16, 16], "penalty": 0.001}
    seed = {"settings": {"network": "lstm", "seed": 1}, "test": 0.93}
    tables = speech_tables(
        {
            "trials": [
                trial | {"settings": settings},
                trial | {"settings": settings | {"penalty": 0.002}},
            ],
            "seeds": [seed | {"accuracy": 0.96, "accuracy_worse": 0.95}],
        }
    )
    assert tables["trials"]["settings"].to_list() == [
        "widths 16-16, penalty 0.001",
        "penalty 0.002",
    ]
    assert tables["trials"]["gzip bytes"].to_list() == ["2,345", "2,345"]
    assert tables["seeds"].loc["lstm", "test clips"] == "93.00%"
