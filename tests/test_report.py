"""report.md and the README show what models/results.json says."""

import shutil
from pathlib import Path

import pytest

from toolkit.results import load_records, save_record
from tools.notebooks import notebook_path
from tools.pictures import PICTURES, picture
from tools.report import ANSWERS, refresh_readme, write_report

ROOT = Path(__file__).parent.parent
RECORDS = load_records(ROOT / "models" / "results.json")


@pytest.fixture
def project(tmp_path):
    for folder in ("models", "studies"):
        (tmp_path / folder).mkdir()
        shutil.copy(ROOT / folder / "results.json", tmp_path / folder)
    shutil.copy(ROOT / "README.md", tmp_path)
    for path in (*ROOT.glob("*.ipynb"), *ROOT.glob("studies/*.ipynb"), *ROOT.glob("notebooks/*")):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_the_committed_report_is_the_one_that_the_results_give(project):
    write_report(project)
    assert (project / "report.md").read_text() == (ROOT / "report.md").read_text(), "make report"


def test_the_committed_readme_has_the_table_that_the_results_give(project):
    refresh_readme(project)
    assert (project / "README.md").read_text() == (ROOT / "README.md").read_text(), "make report"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_a_models_figures_stand_in_the_report(record):
    lines = (ROOT / "report.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| {record['technique']} |"))
    assert f"{record['accuracy']:.2%}" in row
    assert f" {record['bytes_gzip']:,} " in row


def test_report_and_readme_begin_with_the_answers():
    found = [record for record in RECORDS if record["id"] in ANSWERS]
    assert len(ANSWERS) <= 10 and len(found) == 7
    for name in ("report.md", "README.md"):
        table = [line for line in (ROOT / name).read_text().splitlines() if "|" in line][:12]
        for record in found:
            row = next(line for line in table if f"`{record['file']}`" in line)
            assert f"{record['accuracy']:.2%}" in row and f" {record['bytes_gzip']:,} " in row


def test_no_table_of_the_report_has_more_than_six_columns():
    for line in (ROOT / "report.md").read_text().splitlines():
        assert line.count("|") <= 7 and not line.startswith(">")


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
    assert "What was tried" not in report  # these are figures of the real data


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_of_the_report_is_the_plot_in_its_notebook(name):
    notebook, title = PICTURES[name]
    plot = picture(notebook_path(f"{notebook}.py", ROOT), title)
    assert plot and plot == (ROOT / "figures" / f"{name}.png").read_bytes(), "make report"
    shown = "".join((ROOT / page).read_text() for page in ("report.md", "README.md"))
    assert f"figures/{name}.png" in shown
