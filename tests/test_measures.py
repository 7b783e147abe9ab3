"""What a .tflite, a .keras, a Word and a PDF file hold."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hand_ins import own_model, paper, zipped

from grader.measures import PROMISED, measures, promised
from grader.names import MODELS
from grader.papers import layers_of, read_paper
from grader.processes import Unfit
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

PUBLISHED = Path(__file__).parent.parent / "models"


def published(name):
    return measures((PUBLISHED / name).read_bytes())


@pytest.mark.parametrize("name", PROMISED)
def test_a_published_file_keeps_its_own_promise_and_not_those_of_others(name):
    kept = {title for title in PROMISED.values() if promised(title, published(name))[0]}
    # 4 bits a weight are at most 16 values, and show nothing of how they came about
    fitting = {PROMISED[name]}
    if published(name)["bits"] == 4:
        fitting |= {"shared values", "quantization-aware"}
    assert PROMISED[name] in kept and kept <= fitting


def test_a_file_is_known_without_its_names_and_notes():
    name = MODELS[0]
    content = (PUBLISHED / name).read_bytes()
    renamed = content.replace(b"conv1", b"mine1")
    assert renamed != content
    assert measures(renamed)["sha256"] == measures(content)["sha256"]
    assert measures(own_model(name, 1))["sha256"] != measures(content)["sha256"]


@pytest.mark.parametrize(
    "kernel, shared, zeros",
    [
        (np.arange(4096), 0, 0),
        (np.arange(4096) % 32 + 1, 1, 0),
        (np.arange(4096) % 33 + 1, 0, 0),
        (np.where(np.arange(4096) % 2, np.arange(4096), 0), 0, 0.5),
        (np.where(np.arange(4096) < 4076, 0, np.arange(4096)), 0, 1),  # few are left, all differ
    ],
)
def test_shared_values_and_zeros_are_counted(kernel, shared, zeros):
    layers = tf.keras.layers
    dense = layers.Dense(64, use_bias=False)
    model = tf.keras.Sequential([layers.Input((64,)), dense])
    dense.set_weights([kernel.reshape(64, 64).T.astype(np.float32)])
    found = measures(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    assert found["shared"] == shared and found["zeros"] == pytest.approx(zeros, abs=0.01)
    assert (found["bits"], found["weights"]) == (32, {"float32": 4096})


def network(*layers):
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1)), *layers])
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights([np.linspace(0.5, 2, w.size, dtype="f") for w in layer.get_weights()])
    return model


def conv(activation=None):
    return tf.keras.layers.Conv2D(4, 3, activation=activation)


class Mine(tf.keras.layers.Layer):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize(
    "layers, custom, late",
    [
        ([conv(), tf.keras.layers.BatchNormalization(), tf.keras.layers.ReLU()], 0, 0),
        ([conv("relu"), tf.keras.layers.BatchNormalization(), conv()], 0, 1),
        ([conv(), Mine(), conv()], 1, 0),
        ([conv(), tf.keras.layers.Lambda(lambda x: 2 * x), conv()], 1, 0),
    ],
)
def test_the_rules_for_the_network_show_in_its_files(layers, custom, late, tmp_path):
    model = network(*layers)
    model.save(tmp_path / "a.keras")
    found = layers_of(tmp_path / "a.keras")
    assert (len(found["custom"]), len(found["late"])) == (custom, late)
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    assert measures(content)["late"] == bool(late)


def test_layers_are_read_as_keras_3_writes_them_too(tmp_path):
    def layer(kind, name, before):
        node = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
        return {
            **{"class_name": kind, "module": "keras.layers", "config": {"name": name}},
            "inbound_nodes": [{"args": [node], "kwargs": {}}],
        }

    layers = [layer("BatchNormalization", "bn", "x"), layer("Activation", "act", "bn")]
    for count, late in ((2, []), (1, ["bn"])):
        config = {"config": {"layers": layers[:count]}}
        (tmp_path / "a.keras").write_bytes(zipped({"config.json": json.dumps(config)}))
        assert layers_of(tmp_path / "a.keras")["late"] == late
    (tmp_path / "a.keras").write_bytes(b"no zip")
    with pytest.raises(Unfit, match="cannot be read"):
        layers_of(tmp_path / "a.keras")
    published = layers_of(PUBLISHED / "sign_mnist_qkeras_4bit.keras")
    assert published == {"custom": [], "late": [], "quantized": True}


def pdf(text):
    """The bytes of a PDF of one page."""
    content = f"BT /F1 9 Tf 9 90 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, one in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(made)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    end = b"trailer << /Root 1 0 R /Size 6 >>\nstartxref\n%d\n%%%%EOF" % len(made)
    return made + b"xref\n0 6\n" + table + end


def test_word_and_pdf_files_are_read_by_what_they_are(tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(paper(1))
    assert len(read_paper(path)["text"].split()) == 250
    path.write_bytes(pdf("four bits or float"))
    assert read_paper(path) == {"text": "four bits or float", "pages": 1}
    for content in (b"", b"%PDF-1.7 cut", b"PK\x03\x04", zipped({"a": "b"}), b"{\\rtf1 text}"):
        path.write_bytes(content)
        with pytest.raises(Unfit):
            read_paper(path)


def test_a_word_file_that_unpacks_without_end_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 21 * 2**20)
    with pytest.raises(Unfit, match="too long"):
        read_paper(tmp_path / "a.docx")
