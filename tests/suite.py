"""What holds for every notebook of a room after a smoke run on the drawn sample."""

from pathlib import Path

import pytest

import tools.run
from toolkit.results import load_records
from tools.notebooks import Room, notebook_path, read_notebook, sources
from tools.sample import write_sample

ROOT = Path(__file__).parent.parent


def outputs(path):
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            assert cell.execution_count
            yield from cell.outputs


class Suite:
    """The tests; subclasses name their `room`."""

    room: Room

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls, tmp_path_factory):
        target = tmp_path_factory.mktemp("build")
        paths = write_sample(tmp_path_factory.mktemp("sample"), photos=(5, 1))
        tools.run.run(ROOT, target, "smoke", paths, cls.room)
        return target

    def notebooks(self, build):
        return [notebook_path(source, build) for source in sources(ROOT, self.room)]

    def test_a_notebook_runs_without_errors_and_without_noise(self, build):
        for path in self.notebooks(build):
            produced = list(outputs(path))
            assert [o for o in produced if o.output_type == "error"] == []
            assert [o.text for o in produced if o.get("name") == "stderr"] == []
            assert sum("image/png" in o.get("data", {}) for o in produced) >= 5

    def test_figures_from_the_sample_carry_the_banner_wherever_they_are_shown(self, build):
        for path in self.notebooks(build):
            text = "".join(o.get("text", "") for o in outputs(path))
            assert "NOT Sign Language MNIST" in text
        assert all(not record["canonical"] for record in load_records(build / self.room.results))

    def test_every_record_has_its_file_and_nothing_is_left_over(self, build):
        folder = build / self.room.folder
        records = load_records(build / self.room.results)
        files = {record["file"] for record in records} - {None}
        assert files == {path.name for path in (folder / "models").glob("*.tflite")} and files
        assert [path.name for path in build.rglob(".*")] == []
        left = folder / "checkpoints"
        assert not left.exists() or not list(left.iterdir())
