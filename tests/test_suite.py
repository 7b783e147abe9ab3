"""The whole suite, from the sources to the report, in the smoke profile on the drawn sample."""

from pathlib import Path

import pytest

import tools.run
from toolkit.results import load_records
from tools.notebooks import read_notebook, sources
from tools.sample import write_sample

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    target = tmp_path_factory.mktemp("build")
    paths = write_sample(tmp_path_factory.mktemp("sample"), photos=(5, 1))
    tools.run.run(ROOT, target, "smoke", paths)
    return target


def outputs(path):
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            assert cell.execution_count
            yield from cell.outputs


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda path: path.stem)
def test_a_notebook_runs_without_errors_and_without_noise(build, source):
    produced = list(outputs(build / f"{source.stem}.ipynb"))
    assert [o for o in produced if o.output_type == "error"] == []
    assert [o.text for o in produced if o.get("name") == "stderr"] == []
    assert sum("image/png" in o.get("data", {}) for o in produced) >= 5


def test_figures_from_the_sample_carry_the_banner_wherever_they_are_shown(build):
    assert "NOT Sign Language MNIST" in (build / "report.md").read_text()
    for source in sources(ROOT):
        text = "".join(o.get("text", "") for o in outputs(build / f"{source.stem}.ipynb"))
        assert "NOT Sign Language MNIST" in text
    assert all(not record["canonical"] for record in load_records(build / "models/results.json"))


def test_every_record_has_its_file_and_nothing_is_left_over(build):
    records = load_records(build / "models" / "results.json")
    files = {record["file"] for record in records}
    assert files == {path.name for path in (build / "models").glob("*.tflite")} and files
    assert [path.name for path in build.rglob(".*")] == []
    assert not (build / "checkpoints").exists() or not list((build / "checkpoints").iterdir())
