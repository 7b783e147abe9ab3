"""Hints at common mistakes in notebooks: given where they are due, and only there."""

import json
import re
import time
from pathlib import Path

import pytest

from grader.mistakes import TEXTS, Hint, find_mistakes, follow
from grader.notebook import read_notebook

ROOT = Path(__file__).parent.parent

START = """
import numpy as np, pandas as pd, tensorflow as tf
import tensorflow_model_optimization as tfmot
from sklearn.model_selection import train_test_split
from tensorflow.keras.layers import *
"""
READ = """
train_df = pd.read_csv("data/sign_mnist_train.csv")
test_df = pd.read_csv("data/sign_mnist_test.csv")
"""
DATA = f"""{READ}
y_train, y_test = train_df.pop("label").values, test_df.pop("label").values
x_train = train_df.values.reshape(-1, 28, 28, 1) / 255.0
x_test = test_df.values.reshape(-1, 28, 28, 1) / 255.0
"""
MODEL = """
model = tf.keras.Sequential([Flatten(), Dense(25, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
"""
PRUNED = f"{MODEL}\npruned = tfmot.sparsity.keras.prune_low_magnitude(model)\n"

WITH = {
    "label_kept": [
        "x = train_df.values / 255\nmodel.fit(x, train_df['label'])",
        "y = train_df['label']\nx = train_df.iloc[:, :784].values",
        "data = np.array(train_df)\nx, y = data[:, 0:784] / 255.0, data[:, 0]",
        "x = np.genfromtxt('sign_mnist_train.csv', delimiter=',', skip_header=1)[:, :-1]",
        "x = np.asarray(train_df, dtype='float32')\nmodel.fit(x, train_df.label, epochs=3)",
        "model = tf.keras.Sequential([tf.keras.Input((785,)), Dense(24)])",
        "n = train_df.shape[1] - 1\nx = train_df.to_numpy()[:, :n]",
        "def split(df):\n    return df.values[:, :28 * 28], df['label']\nx, y = split(train_df)",
        "import csv\nrows = list(csv.reader(open('sign_mnist_train.csv')))\n"
        "data = np.array(rows[1:], dtype=int)\nx = data[:, :784]",
        "x = train_df.astype('float32')\nx /= 255\nds = (x, train_df.label)",
        "train_df.drop('label', axis=1)\nx = train_df.values / 255.",
    ],
    "test_for_validation": [
        "model.fit(x_train, y_train, validation_data=(x_test, y_test))",
        "train(model, *some, epochs=3, validation={'test': (data.x_test, data.y_test)})",
        "val = (x_test, y_test)\nmodel.fit(x_train, y_train, epochs=2, validation_data=val)",
        "opts = dict(epochs=2, validation_data=(x_test, y_test))\nmodel.fit(x_train, **opts)",
        "x_val, y_val = x_test, y_test\nmodel.fit(x_train, validation_data=(x_val, y_val))",
        "ds = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(32)\n"
        "model.fit(x_train, y_train, validation_data=ds)",
        "a, b, c, d = train_test_split(x_test, y_test)\nmodel.fit(x_train, validation_data=(a, c))",
        "def train(net, val):\n    net.fit(x_train, y_train, validation_data=val)\n"
        "train(model, (x_test, y_test))",
        "frames = {k: pd.read_csv(f'sign_mnist_{k}.csv') for k in ('train', 'test')}\n"
        "held = frames['test'].drop(columns='label').values\nmodel.fit(validation_data=(held, 0))",
        "x_tr, y_tr, x_test, y_test = load()\nmodel.fit(x_tr, validation_data=(x_test, y_test))",
    ],
    "scalar_argmax": [
        "right = 0\nfor i in range(9):\n    right += np.argmax(out) == np.argmax(y_test[i])",
        "true = np.argmax(y_test, axis=1)",
        "for image, label in zip(x_test, y_test):\n    tf.argmax(label)",
        "hits = [y.argmax() == p.argmax() for p, y in zip(model.predict(x_test), y_test)]",
        "def accuracy(scores, labels):\n    return np.mean(scores.argmax(1) == labels.argmax(1))\n"
        "accuracy(model.predict(x_test), y_test)",
        "x_test, y_test = load()\nnp.argmax(y_test[3])",
    ],
    "softmax_logits": [
        "model = tf.keras.Sequential([Dense(24, activation='softmax')])\nmodel.compile("
        "loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))",
        "model = tf.keras.Sequential()\nmodel.add(Dense(24))\n"
        "model.compile('adam', 'sparse_categorical_crossentropy')",
        "i = Input((784,))\nmodel = tf.keras.Model(i, Softmax()(Dense(24)(i)))\n"
        "loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)\n"
        "model.compile(loss=loss)",
        "from qkeras import *\nx = i = Input((784,))\nx = QDense(24)(x)\n"
        "x = Activation('softmax')(x)\nmodel = Model(i, x)\n"
        "model.compile(loss=tf.keras.losses.SparseCategoricalCrossentropy(True))",
        "def build(logits=False):\n"
        "    return tf.keras.Sequential([Dense(24, None if logits else 'softmax')])\n"
        "m = build(logits=True)\nm.compile(loss='categorical_crossentropy')",
        "m = tf.keras.Sequential([Dense(24, tf.nn.softmax), Dropout(0)])\n"
        "settings = {'loss': tf.losses.SparseCategoricalCrossentropy(from_logits=True)}\n"
        "m.compile(**settings)",
    ],
    "strip_forgotten": [
        "tf.lite.TFLiteConverter.from_keras_model(pruned)",
        "tfmot.sparsity.keras.strip_pruning(pruned)\n"
        "tf.lite.TFLiteConverter.from_keras_model(pruned)",
        "plm = tfmot.sparsity.keras.prune_low_magnitude\nm = plm(model, schedule)\n"
        "def to_tflite(net):\n    return tf.lite.TFLiteConverter.from_keras_model(net).convert()\n"
        "to_tflite(m)",
        "pruned.save('pruned')\ntf.lite.TFLiteConverter.from_saved_model('pruned')",
        "from functools import partial\n"
        "cluster = partial(tfmot.clustering.keras.cluster_weights, number_of_clusters=16)\n"
        "models = [cluster(model) for _ in range(2)]\n"
        "for m in models:\n    tf.lite.TFLiteConverter.from_keras_model(m)",
        "def f(layer):\n    if isinstance(layer, Dense):\n"
        "        return tfmot.sparsity.keras.prune_low_magnitude(layer)\n    return layer\n"
        "m = tf.keras.models.clone_model(model, clone_function=f)\n"
        "tf.lite.TFLiteConverter.from_keras_model(m)",
        "stripped = tfmot.clustering.keras.strip_clustering(pruned)\n"
        "tf.lite.TFLiteConverter.from_keras_model(stripped)",
    ],
    "test_examples": [
        "def rep():\n    for i in range(100):\n        yield [x_test[i:i + 1]]\n"
        "converter.representative_dataset = rep",
        "converter.representative_dataset = lambda: ([x[None]] for x in x_test[:100])",
        "def gen(images):\n    def inner():\n        for x in images:\n            yield [x]\n"
        "    return inner\nconverter.representative_dataset = gen(x_test)",
        "def to_int8(net, calib):\n    c = tf.lite.TFLiteConverter.from_keras_model(net)\n"
        "    ds = tf.data.Dataset.from_tensor_slices(calib).batch(1)\n"
        "    def rep():\n        for x in ds.take(9):\n            yield [tf.cast(x, tf.float32)]\n"
        "    c.representative_dataset = rep\n"
        "to_int8(model, x_test)",
        "images = x_test\ndef rep():\n    ids = np.random.choice(len(images), 100)\n"
        "    for i in ids:\n        yield [images[i:i + 1].astype('float32')]\n"
        "converter.representative_dataset = tf.lite.RepresentativeDataset(rep)",
    ],
}
WITHOUT = {
    "label_kept": [
        "y = train_df.pop('label')\nx = train_df.values / 255\nmodel.fit(x, y)",
        "y = train_df['label']\nx = train_df.drop('label', axis=1).values.reshape(-1, 28, 28, 1)",
        "x = train_df.iloc[:, 1:].values / 255\nmodel.fit(x, train_df.iloc[:, 0])",
        "data = np.loadtxt('sign_mnist_train.csv', delimiter=',', skiprows=1)\n"
        "x = data[:, 1:] / 255\nmodel.fit(x, data[:, 0])",
        "train_df.drop(columns=['label'], inplace=True)\nx = train_df.values[:, :784] / 255",
        "cols = [c for c in train_df.columns if c != 'label']\nmodel.fit(train_df[cols] / 255, 1)",
        "train_df['label'] = train_df.pop('label')\nx = train_df.values[:, :784]",
        "model.fit(train_df.loc[:, 'pixel1':] / 255, train_df.label)",
        "model.fit(train_df.filter(like='pixel') / 255, train_df.label)",
        "data = train_df.values / 255\nx, y = data[:, 1:], data[:, 0] * 255",
        "a, b = train_test_split(train_df)\nmodel.fit(a.drop(columns='label') / 255, a['label'])",
        "df = train_df.sample(frac=1)\ndel df['label']\nx = df.to_numpy().reshape(-1, 28, 28)",
        "import csv\nx, y = [], []\nfor row in csv.reader(open('sign_mnist_train.csv')):\n"
        "    y.append(int(row[0]))\n    x.append([int(v) for v in row[1:]])\n"
        "x = np.array(x).reshape(-1, 28, 28)",
    ],
    "test_for_validation": [
        "x_train, x_test, y_train, y_test = train_test_split(x_train, y_train)\n"
        "model.fit(x_train, y_train, validation_data=(x_test, y_test))",
        "model.fit(x_train, y_train, validation_split=0.1)\nmodel.evaluate(x_test, y_test)",
        "val = (x_train[:3000], y_train[:3000])\nmodel.fit(x_train, validation_data=val)",
        "df = pd.read_csv(some_path)\ny = df.pop('label')\na, x_test = train_test_split(df)\n"
        "model.fit(a, validation_data=x_test)",
        "val = tf.data.Dataset.from_tensor_slices((x_train, y_train))\n"
        "model.fit(x_train, validation_data=val)",
    ],
    "scalar_argmax": [
        "y_test = tf.keras.utils.to_categorical(y_test)\nnp.argmax(y_test, axis=1)",
        "from sklearn.preprocessing import LabelBinarizer\nlb = LabelBinarizer()\n"
        "y_train = lb.fit_transform(y_train)\ny_test = lb.transform(y_test)\ny_test.argmax(1)",
        "hot = np.eye(25)[y_test]\n[np.argmax(row) for row in hot]",
        "np.argmax(model.predict(x_test), axis=1) == y_test",
        "ds = tf.data.Dataset.from_tensor_slices((x_test, y_test))\n"
        "ds = ds.map(lambda x, y: (x, tf.one_hot(y, 25)))\nfor x, y in ds:\n    np.argmax(y)",
        "y_test = pd.get_dummies(y_test).values\nnp.argmax(y_test[0])",
    ],
    "softmax_logits": [
        "m = tf.keras.Sequential([Dense(24)])\n"
        "m.compile(loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))",
        MODEL,
        "def build(logits=False):\n"
        "    return tf.keras.Sequential([Dense(24, None if logits else 'softmax')])\n"
        "for logits in (True, False):\n    build(logits).compile(\n"
        "        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=logits))",
        "import os\nlogits = os.environ.get('L')\n"
        "m = tf.keras.Sequential([Dense(24, None if logits else 'softmax')])\n"
        "m.compile(loss='sparse_categorical_crossentropy')",
        "a = tf.keras.Sequential([Dense(24), Softmax()])\nb = tf.keras.Sequential([Dense(24)])\n"
        "a.compile(loss='sparse_categorical_crossentropy')\n"
        "b.compile(loss=lambda y, p: tf.keras.losses.sparse_categorical_crossentropy(\n"
        "    y, p, from_logits=True))",
    ],
    "strip_forgotten": [
        "m = tfmot.sparsity.keras.strip_pruning(pruned)\n"
        "tf.lite.TFLiteConverter.from_keras_model(m)",
        "def to_tflite(net):\n    net = tfmot.sparsity.keras.strip_pruning(net)\n"
        "    return tf.lite.TFLiteConverter.from_keras_model(net).convert()\nto_tflite(pruned)",
        "tf.lite.TFLiteConverter.from_keras_model(model)",
        "def prune(m):\n    m = tfmot.sparsity.keras.prune_low_magnitude(m)\n    m.fit(x_train)\n"
        "    return tfmot.sparsity.keras.strip_pruning(m)\n"
        "for m in [prune(model), model]:\n    tf.lite.TFLiteConverter.from_keras_model(m)",
        "tfmot.sparsity.keras.strip_pruning(pruned).export('out')\n"
        "tf.lite.TFLiteConverter.from_saved_model('out')",
    ],
    "test_examples": [
        "def rep():\n    for x in x_train[:100]:\n        yield [x[None]]\n"
        "converter.representative_dataset = rep\npredict_tflite(converter.convert(), x_test)",
        "a, x_test = train_test_split(x_train)\n"
        "converter.representative_dataset = lambda: ([x[None]] for x in x_test)",
        "def rep():\n    for i in np.random.choice(len(x_test), 100):\n"
        "        yield [x_train[i:i + 1]]\n"
        "converter.representative_dataset = rep",
        "def rep(images):\n    for x in images:\n        yield [x]\n"
        "converter.representative_dataset = lambda: rep(x_train)\nrep(x_test)",
    ],
}
NEEDS = {"label_kept": READ + MODEL, "softmax_logits": DATA, "scalar_argmax": DATA + MODEL}


def notebook(*codes):
    cells = [{"cell_type": "code", "source": code.splitlines(True)} for code in codes]
    return json.dumps({"cells": cells}).encode()


def hints(content):
    return find_mistakes(read_notebook(content))[0]


def found(mistake, code):
    start = NEEDS.get(mistake, DATA + PRUNED + "converter = tf.lite.TFLiteConverter()\n")
    return [hint.mistake for hint in hints(notebook(START, start, code))]


def cases(snippets):
    return [(mistake, code) for mistake, codes in snippets.items() for code in codes]


@pytest.mark.parametrize("mistake, code", cases(WITH))
def test_the_mistake_is_found_and_no_other(mistake, code):
    assert set(found(mistake, code)) == {mistake}


@pytest.mark.parametrize("mistake, code", cases(WITHOUT))
def test_right_code_gives_no_hint(mistake, code):
    assert found(mistake, code) == []


def test_a_hint_says_cell_and_line():
    markdown = {"cell_type": "markdown", "source": "# Title"}
    code = "%matplotlib inline\n!ls\n\nmodel.fit(a, b, validation_data=(x_test, y_test))"
    content = json.dumps({"cells": [markdown, {"cell_type": "code", "source": code}]}).encode()
    expected = Hint("test_for_validation", 2, 4, TEXTS["test_for_validation"])
    assert hints(content) == [expected]


def test_cells_that_are_no_python_do_not_hide_the_others():
    broken = "def f(:\n    pass\nmodel.fit(a, validation_data=x_test)"
    codes = "%%bash\nls $x_test", "%%time\nx = 1\nx?\n%timeit x", "x = !ls", broken, "(" * 9
    assert [hint.cell for hint in hints(notebook(*codes))] == [4]


@pytest.mark.parametrize(
    "content",
    [
        notebook("x = " + "(" * 3000 + ")" * 3000),
        notebook("x = " + "-" * 5000 + "1"),
        notebook("x = " + "1+" * 20_000 + "1"),
        notebook("x = a" + ".b" * 5000, "f" + "()" * 5000),
        notebook("x = 1\0", "x = '\ud800'"),
        notebook("x = 'ab' * 10**9 + 10**10**10 * '%s' % x"),
        notebook("def f(x):\n    return f(f(x)) + g(x)\ndef g(x):\n    return f(g(x))\nf(1)"),
        notebook(
            "x = [1]\nx.append(x)\nfor y in x:\n    y.append(x)\nnp.array(x)", "d = {}\nd[0] = d"
        ),
        notebook("x, *y = *z, = 1", "a[b], (c, *d) = e", "del x[0], y", "lambda *a, **k: (yield)"),
        notebook(*(f"x{i} = [x{i - 1}, x{i - 1}]" for i in range(200)), "np.array(x199)"),
        notebook(*("a, b = [a, b], [b, a]" for _ in range(99)), "np.array([a, b])"),
        notebook("a = b = c = 1\n" * 40_000),
    ],
)
def test_odd_and_hostile_notebooks_give_no_hints(content):
    started = time.perf_counter()
    assert hints(content) == []
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize(
    "code, whole",
    [
        ("".join(f"if a{i}:\n  v{i} = 1\nelse:\n  w{i} = 1\n" for i in range(8_000)), True),
        ("".join(f"try:\n  v{i} = 1\nexcept E:\n  w{i} = 1\n" for i in range(8_000)), True),
        (f"%time\n{' ' * 29_000}\n", True),
        (f"!ls\n{'a, ' * 9_000}", True),
        ("x = 1\n" + "a = b = c = 1\n" * 40_000, False),  # more than is read
        ("if a:\n  v = 1\n" + "elif b:\n  v = 1\n" * 3_000, False),  # nested too deeply
        ("x = " + "(" * 150 + "1" + " + 1)" * 150, False),
        ("def f(x):\n  return [x, x]\n" + "x = f(x)\n" * 30_000, False),
        ("%time\n" + "x = 1\n" * 9_000, False),  # lines that are no Python are not looked for
    ],
    ids=range(9),
)
def test_long_code_takes_time_by_its_length_or_is_said_not_to_be_searched(code, whole):
    content = notebook("model.fit(a, b, validation_data=x_test)", code)
    started = time.process_time()
    found, all_of_it = find_mistakes(read_notebook(content))
    assert time.process_time() - started < 5
    assert [hint.mistake for hint in found] == ["test_for_validation"] and all_of_it == whole


def test_the_search_for_hints_ends_in_time(monkeypatch):
    monkeypatch.setattr(follow, "SECONDS", 0.2)
    calls = notebook(
        f"def f({', '.join(f'a{i}' for i in range(9_000))}):\n  pass\n" + "f()\n" * 40_000
    )
    started = time.process_time()
    assert find_mistakes(read_notebook(calls)) == ([], False)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "path", [*ROOT.glob("q?.ipynb"), *ROOT.glob("studies/*.ipynb")], ids=lambda path: path.name
)
def test_the_solutions_give_no_hints(path):
    shown = {"scalar_argmax"} if path.name == "q1.ipynb" else set()  # it measures that mistake
    assert {hint.mistake for hint in hints(path.read_bytes())} <= shown


def written_by_students():
    """[(mistake, whether a notebook has it, its bytes)] of tests/mistakes.txt."""
    parts = re.split(r"^=== ", Path(__file__).with_name("mistakes.txt").read_text(), flags=re.M)
    for part in parts[1:]:
        heading, code = part.split("\n", 1)
        mistake, kind, _ = heading.split()
        yield mistake, kind == "with", notebook(*code.rstrip("\n").split("\n---\n"))


def test_on_notebooks_by_other_hands_most_mistakes_are_found_and_few_falsely():
    found, count = 0, 0
    false: list = []
    for mistake, has_it, content in written_by_students():
        hinted = {hint.mistake for hint in hints(content)}
        count += 1
        found += has_it and mistake in hinted
        false += hinted - ({mistake} if has_it else set())
    assert (count, found) == (120, 53)
    assert sorted(false) == ["label_kept", "label_kept", "scalar_argmax"]
