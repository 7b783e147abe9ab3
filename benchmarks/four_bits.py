"""The 4-bit network of q4: quantizers on held-out photos, and other seeds on the test file.

    .venv/bin/python -m benchmarks.four_bits validation [NAME ...]
    .venv/bin/python -m benchmarks.four_bits test [SEED ...]

`validation` compares quantizers by networks trained without the held-out photos: a check
of what q4 chose by a single epoch. `test` trains q4's recipe from the published baseline
with other seeds.
The figures go to benchmarks/four_bits.json. Five and three minutes each on 2 cores, and four
more for the baselines of benchmarks/race.py if they are not there.
"""

import json
import sys
from pathlib import Path

from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
from qkeras import QConv2D, QDense, quantized_bits, quantized_po2

from benchmarks.race import held_out
from signmnist.baseline import BATCH_SIZE, augment, compile_cnn
from signmnist.data import load_sign_mnist
from toolkit.files import replacing
from toolkit.training import accuracy, train

FIGURES = Path(__file__).with_suffix(".json")
TRIAL_EPOCHS, EPOCHS = 5, 8
QUANTIZERS = {
    "alpha 1": lambda: quantized_bits(4, 0, alpha=1),
    "auto": lambda: quantized_bits(4, 0, 1, alpha="auto"),
    "auto_po2": lambda: quantized_bits(4, 0, 1, alpha="auto_po2"),
    "powers of two": lambda: quantized_po2(4),
}


def quantized_copy(model, quantizer):
    """The network of q4: `model` with its kernels under `quantizer`, its biases under auto."""

    def with_quantizers(layer):
        if isinstance(layer, tf.keras.layers.Conv2D):
            return QConv2D(
                layer.filters,
                layer.kernel_size,
                padding="same",
                use_bias=False,
                kernel_quantizer=quantizer(),
                kernel_initializer="zeros",
            )
        if isinstance(layer, tf.keras.layers.Dense):
            return QDense(
                layer.units,
                kernel_quantizer=quantizer(),
                bias_quantizer=QUANTIZERS["auto"](),
                kernel_initializer="zeros",
            )
        return layer.__class__.from_config(layer.get_config())

    copy = tf.keras.models.clone_model(model, clone_function=with_quantizers)
    copy.set_weights(model.get_weights())
    return copy


def trained(model, quantizer, x, y, epochs, seed, name):
    """`model` under `quantizer`, after quantization-aware training as in q4."""
    tf.keras.utils.set_random_seed(seed)
    network = compile_cnn(quantized_copy(model, quantizer), len(x), epochs, 1e-3)
    settings = {"seed": seed, "batch_size": BATCH_SIZE, "augment": augment}
    train(network, x, y, epochs=epochs, name=name, **settings)
    return network


def save(kind, name, share):
    """Adds an accuracy to benchmarks/four_bits.json."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures.setdefault(kind, {})[name] = share
    print(f"\n{kind}, {name}: {share:.3%}", flush=True)
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")


def main(kind, chosen):
    data = load_sign_mnist()
    if kind == "validation":
        (x, y), judged, baseline, _ = held_out(data)
        save(kind, "float", accuracy(baseline, *judged))
        for name in chosen or QUANTIZERS:
            network = trained(baseline, QUANTIZERS[name], x, y, TRIAL_EPOCHS, 0, name)
            save(kind, name, accuracy(network, *judged))
    else:
        baseline = tf.keras.models.load_model("models/sign_mnist_baseline.keras", compile=False)
        for seed in chosen or ["0", "1", "2"]:
            rows = data.x_train, data.y_train
            network = trained(baseline, QUANTIZERS["auto"], *rows, EPOCHS, int(seed), "4 bits")
            save(kind, seed, accuracy(network, data.x_test, data.y_test))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
