"""What holds for every notebook of a room after a smoke run on the drawn sample."""

from pathlib import Path

import pytest

import tools.run
from photos.sample import write_sample as write_photos_sample
from signmnist.sample import write_sample
from speech.sample import write_sample as write_speech_sample
from toolkit.results import load_records
from toolkit.tflite import open_tflite
from tools.datasets import data_set_of, data_sets_of
from tools.notebooks import Room, notebook_path, read_notebook, sources

ROOT = Path(__file__).parent.parent
SMALL_SAMPLES = {
    "signmnist": lambda folder: write_sample(folder, photos=(5, 1)),
    "speech": lambda folder: write_speech_sample(folder, clips=(6, 2, 2)),
    "photos": lambda folder: write_photos_sample(folder, photos=(8, 3)),
}


def committed(sha256, *rooms):
    """Parameters (path, record) for the committed models of `rooms` that read these data.

    sha256: as in their records; the large files of the studies are not committed. Codebooks are
    for TFLite Micro alone.
    """
    return [
        pytest.param(ROOT / room.folder / "models" / record["file"], record, id=record["id"])
        for room in rooms
        for record in load_records(ROOT / room.results)
        if record["file"] and record["data_sha256"] == sha256 and "codebook" not in record["id"]
    ]


def speech_inputs(path, waves):
    """What the .tflite at `path` takes for clips int16 (n, 8000): waves or features, float32."""
    from speech.scoring import model_input  # TensorFlow, which few tests need

    return model_input(waves, open_tflite(path).get_input_details()[0]["shape"][1:])


def outputs(path):
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            assert cell.execution_count
            yield from cell.outputs


class Suite:
    """The tests; subclasses name their `room`."""

    room: Room

    def fewest_plots(self, name):
        """How many plots the notebook of a name has at least."""
        return 2

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls, tmp_path_factory):
        target = tmp_path_factory.mktemp("build")
        folders = {}
        for data_set in data_sets_of(sources(ROOT, cls.room)):
            folders[data_set.package] = tmp_path_factory.mktemp(data_set.package)
            SMALL_SAMPLES[data_set.package](folders[data_set.package])
        tools.run.run(ROOT, target, "smoke", folders, cls.room)
        return target

    def notebooks(self, build):
        return [notebook_path(source, build) for source in sources(ROOT, self.room)]

    def test_a_notebook_runs_without_errors_and_without_noise(self, build):
        for path in self.notebooks(build):
            produced = list(outputs(path))
            assert [o for o in produced if o.output_type == "error"] == []
            noise = [o.text for o in produced if o.get("name") == "stderr"]
            assert not noise, f"{path.name}: {noise}"
            plots = sum("image/png" in o.get("data", {}) for o in produced)
            assert plots >= self.fewest_plots(path.stem)

    def test_figures_from_the_sample_carry_the_banner_wherever_they_are_shown(self, build):
        for source in sources(ROOT, self.room):
            text = "".join(o.get("text", "") for o in outputs(notebook_path(source, build)))
            assert f"NOT {data_set_of(source).title}" in text
        assert all(not record["canonical"] for record in load_records(build / self.room.results))

    def test_every_record_has_its_file_and_nothing_is_left_over(self, build):
        folder = build / self.room.folder
        records = load_records(build / self.room.results)
        files = {record["file"] for record in records} - {None}
        assert files == {path.name for path in (folder / "models").glob("*.tflite")} and files
        assert [path.name for path in build.rglob(".*")] == []
        left = folder / "checkpoints"
        assert not left.exists() or not list(left.iterdir())
