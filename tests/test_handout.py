"""The starters: what is left out of them, where they stop, and that they can be solved."""

import ast
import json
import os
import re
import zipfile
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from grader.names import MODELS_OF
from grader.rubric import Line
from signmnist.checks import NO, YES
from signmnist.sample import write_sample
from tools.handout import starter, with_thresholds
from tools.notebooks import (
    CHECK,
    QUESTIONS,
    SOLUTION,
    TASK,
    build,
    build_checks,
    read_cells,
    sources,
    tags,
    write_notebook,
)

ROOT = Path(__file__).parent.parent
SCRIPTS = sources(ROOT, QUESTIONS)
NAMES = [script.stem for script in SCRIPTS]

made_of = cache(starter)  # for tests that change nothing in it

# A student's answers, as short as they can be: {notebook: one for each task}
ANSWERS = {
    "q1": [
        """
        layers = tf.keras.layers
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        right = {"loss": loss, "metrics": ["accuracy"]}

        def small():
            steps = [layers.Input((28, 28, 1)), layers.Conv2D(8, 5, 2), layers.ReLU()]
            model = tf.keras.Sequential([*steps, layers.Flatten(), layers.Dense(24)])
            model.compile("adam", **right)
            return model

        held_out = {"group": (data.x_train[validation_rows], data.y_train[validation_rows])}
        candidate, some = small(), (data.x_train[training_rows], data.y_train[training_rows])
        settings = {"epochs": 1, "name": "candidate", "validation": held_out}
        candidate_history = train(candidate, *some, **settings)
        show_training(candidate, candidate_history)
        """,
        """
        baseline = small()
        baseline_history = train(baseline, data.x_train, data.y_train, epochs=1, name="baseline")
        """,
        """
        def convert(model, file, **settings):
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            for name, value in settings.items():
                target = converter.target_spec if name.startswith("supported") else converter
                setattr(target, name, value)
            save_tflite(converter, f"models/{file}")

        small_ones = {"optimizations": [tf.lite.Optimize.DEFAULT]}
        convert(baseline, "sign_mnist.tflite")
        convert(baseline, "sign_mnist_quant_dyn.tflite", **small_ones)
        plain = evaluate("float", "sign_mnist.tflite", baseline, baseline_history)
        file = "sign_mnist_quant_dyn.tflite"
        dynamic = evaluate("dynamic range", file, baseline, baseline_history)
        """,
        """
        kinds = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        examples = lambda: ([image[None]] for image in data.x_train[:20])
        file = "sign_mnist_quant_int16x8.tflite"
        convert(
            baseline, file, representative_dataset=examples, supported_ops=[kinds], **small_ones
        )
        wide = evaluate("int16x8", file, baseline, baseline_history)
        """,
        """
        copy = tf.keras.models.clone_model(baseline)
        copy.set_weights(baseline.get_weights())
        aware = tfmot.quantization.keras.quantize_model(copy)
        aware.compile("adam", **right)
        aware_history = train(aware, data.x_train, data.y_train, epochs=1, name="QAT")
        file = "sign_mnist_quant_aware_training.tflite"
        convert(aware, file, **small_ones)
        qat = evaluate("QAT int8", file, aware, aware_history)
        """,
    ],
    "q2": [
        'baseline = tf.keras.models.load_model("models/sign_mnist_baseline.keras")',
        """
        copy = tf.keras.models.clone_model(baseline)
        copy.set_weights(baseline.get_weights())
        method = tfmot.clustering.keras
        starts = method.CentroidInitialization.KMEANS_PLUS_PLUS
        wrapped = method.cluster_weights(copy, number_of_clusters=8, cluster_centroids_init=starts)
        wrapped.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        clustered_history = train(wrapped, data.x_train, data.y_train, epochs=1, name="clusters")
        clustered = method.strip_clustering(wrapped)
        """,
        """
        converter = tf.lite.TFLiteConverter.from_keras_model(clustered)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        save_tflite(converter, "models/sign_mnist_clustered.tflite")
        race = evaluate(
            "size race", "sign_mnist_clustered", clustered, clustered_history, clustered
        )
        """,
    ],
    "q3": [
        'baseline = tf.keras.models.load_model("models/sign_mnist_baseline.keras")',
        """
        copy = tf.keras.models.clone_model(baseline)
        copy.set_weights(baseline.get_weights())
        method = tfmot.sparsity.keras
        schedule = method.ConstantSparsity(0.6, 0, frequency=1)
        wrapped = method.prune_low_magnitude(copy, pruning_schedule=schedule)
        wrapped.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        some = {"epochs": 1, "name": "zeros", "callbacks": [method.UpdatePruningStep()]}
        pruned_history = train(wrapped, data.x_train, data.y_train, **some)
        pruned = method.strip_pruning(wrapped)
        """,
        """
        converter = tf.lite.TFLiteConverter.from_keras_model(pruned)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        save_tflite(converter, "models/sign_mnist_pruned.tflite")
        race = evaluate("size race", "sign_mnist_pruned", pruned, pruned_history, pruned)
        """,
    ],
    "q4": [
        """
        from qkeras import quantized_bits

        def four():
            return quantized_bits(4, 0, symmetric=1, alpha="auto")

        inputs = tf.keras.layers.Input((28, 28, 1))
        x = QConv2D(8, 3, padding="same", use_bias=False, kernel_quantizer=four())(inputs)
        x = tf.keras.layers.ReLU()(tf.keras.layers.BatchNormalization()(x))
        x = tf.keras.layers.GlobalAveragePooling2D()(x)
        scores = QDense(24, kernel_quantizer=four(), bias_quantizer=four())(x)
        network = tf.keras.Model(inputs, scores)
        network.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = train(network, data.x_train, data.y_train, epochs=1, name="4 bits")
        """,
        """
        converter = tf.lite.TFLiteConverter.from_keras_model(plain_copy(network))
        save_tflite(converter, "float.tflite")
        path = "models/sign_mnist_qkeras_4bit.tflite"
        quantize("float.tflite", path, data.x_train[:20], weights=4)
        """,
    ],
}


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_nothing_of_the_solution_is_left_in_a_starter(script):
    made = made_of(script)
    text = json.dumps(made)
    given = "".join(cell.source for cell in read_cells(script) if SOLUTION not in tags(cell))
    for cell in read_cells(script):
        if SOLUTION in tags(cell):
            lines = [line.strip() for line in cell.source.splitlines()]
            telling = [line for line in lines if len(line) > 40 and line not in given]
            assert not [line for line in telling if json.dumps(line)[1:-1] in text]
    for name in ("build_cnn", "train_accurate", "distil(", "grid_network", "to_int4", "repack"):
        assert name not in text
    assert all(not cell.get("outputs") for cell in made.cells)
    assert {key for cell in made.cells for key in cell.metadata} <= {"cellView", "jupyter", "tags"}
    assert {tag for cell in made.cells for tag in tags(cell)} <= {"hide-input"}


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_what_is_not_of_the_solution_stays_and_each_task_has_a_stub(script):
    cells, kept = read_cells(script), [cell.source for cell in made_of(script).cells]
    for cell in cells:
        if cell.cell_type == "markdown" and SOLUTION not in tags(cell):
            assert any(text.startswith(cell.source) for text in kept)
    tasks = [cell.source.splitlines()[0] for cell in cells if TASK in tags(cell)]
    assert [task.split(":")[0] for task in tasks] == [
        f"### Task {number}" for number in range(1, len(tasks) + 1)
    ]
    stubs = [text for text in kept if text.startswith("raise NotImplementedError")]
    assert len(stubs) == len(tasks) == len(ANSWERS[script.stem])


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_solved_notebook_has_nothing_that_is_for_students_only(script):
    text = "".join(cell.source for cell in build(script).cells)
    assert "check_" not in text and "Task 1" not in text and "Your answer" not in text
    checks = [cell for cell in read_cells(script) if CHECK in tags(cell)]
    assert sum(cell.source.startswith("check_") for cell in build_checks(script)) >= len(checks) - 1


def test_the_checks_ask_what_the_rubric_asks():
    line = 'check_file("models/{}.tflite", data, at_least=0.9)\n'
    text = line.format("a") + line.format("b")
    assert with_thresholds(text, {"a.tflite": 0.75}) == text.replace("0.9", "0.75", 1)


def test_points_tiers_and_limits_come_from_the_rubric():
    """A rubric of other figures makes starters with these, in the table, the tasks and checks."""
    rubric = [
        Line(2, "Run", 7, "notebook"),
        Line(2, "Clustered", 31, "accuracy", file="sign_mnist_clustered.tflite", at_least=0.77),
        Line(2, "Tiny", 5, "size", file="sign_mnist_clustered.tflite", at_most=1_234, extra=True),
        Line(3, "Of another question", 11, "notebook"),
    ]
    made = starter(SCRIPTS[1], rubric)
    table = made.cells[2].source
    assert "| 31 | Clustered |" in table and "| 5 extra | Tiny |" in table and "1,234" in table
    assert "Together 38 points and 5 points of extra credit." in table
    assert "another question" not in table
    text = "\n".join(cell.source for cell in made.cells)
    assert "- `models/sign_mnist_clustered.tflite` reads at least 77 % of the test file" in text
    assert 'check_file("models/sign_mnist_clustered.tflite", data, at_least=0.77)' in text


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_every_limit_of_a_check_stands_in_the_task_above_it(script):
    task, seen = "", 0
    for cell in made_of(script).cells:
        task = cell.source if cell.source.startswith("### Task") else task
        if cell.cell_type == "code" and not tags(cell):
            for call in re.findall(r"^check_\w+\(.*\)$", cell.source, re.MULTILINE):
                for share in re.findall(r"at_least=([\d.]+)", call):
                    assert f"at least {float(share):.0%}".replace("%", " %") in task
                    seen += 1
                for count in re.findall(r"(?:at_most|bits)=(\d+)", call):
                    assert f"at most {count} " in task
                    seen += 1
    assert seen >= 3


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_starter_imports_nothing_by_name_that_it_neither_uses_nor_mentions(script):
    cells = [cell for cell in made_of(script).cells if not tags(cell)]
    imported = {
        alias.asname or alias.name
        for cell in cells
        if cell.cell_type == "code"
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    text = "\n".join(cell.source for cell in cells)
    assert imported and all(len(re.findall(rf"\b{name}\b", text)) > 1 for name in imported)
    assert not imported & {"entropy", "quantized_bits"}


def outputs_of(cell):
    """What a cell printed."""
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


class Student:
    """Works through starters in a folder: runs each until it stops, and answers there."""

    def __init__(self, folder, sample):
        self.folder = folder
        self.env = {**os.environ, "SIGN_MNIST_DIR": str(sample), "PROFILE": "smoke"}
        self.env["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

    def solve(self, script):
        """The executed notebook and what it said at each stub."""
        made, said, answers = starter(script), [], iter(ANSWERS[script.stem])
        client = NotebookClient(
            made,
            kernel_name="python3",
            timeout=None,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(self.folder)}},
        )
        with client.setup_kernel(env=self.env):
            for index, cell in enumerate(made.cells):
                if cell.source.startswith("pack("):
                    write_notebook(made, self.folder / f"{script.stem}.ipynb")
                try:
                    client.execute_cell(cell, index)
                except CellExecutionError as error:
                    assert error.ename == "NotImplementedError", error
                    said.append(error.evalue)
                    lines = next(answers).splitlines()
                    cell.source = "\n".join(line.removeprefix(" " * 8) for line in lines)
                    client.execute_cell(cell, index)
        return made, said


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    sample = tmp_path_factory.mktemp("sample")
    write_sample(sample, photos=(5, 1))
    return Student(tmp_path_factory.mktemp("student"), sample)


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_starter_stops_at_each_stub_and_runs_to_the_end_with_answers(script, student):
    made, said = student.solve(script)
    assert len(said) == len(ANSWERS[script.stem])
    assert all(text.startswith(f"Task {i}: ") for i, text in enumerate(said, 1))
    printed = "".join(map(outputs_of, made.cells))
    told = [line for line in printed.splitlines() if line[:1] in (YES, NO)]
    asked = [cell.source.count("\ncheck_") + 1 for cell in made.cells if "\ncheck_" in cell.source]
    assert len(told) >= sum(asked) and any(line.startswith(YES) for line in told)
    told = outputs_of(made.cells[-1])
    assert f"{script.stem}.zip" in told and "✗ not answered: " in told
    with zipfile.ZipFile(student.folder / f"{script.stem}.zip") as packed:
        assert {PurePosixPath(name).name for name in packed.namelist()} >= {
            f"{script.stem}.ipynb",
            *MODELS_OF[f"{script.stem}.ipynb"],
        }
        assert packed.testzip() is None
