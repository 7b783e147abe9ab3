"""Quantizers for q4, compared on held-out photos by networks trained without them.

    .venv/bin/python -m benchmarks.four_bits

The figures by which q4 chooses its quantizer; they go to benchmarks/four_bits.json. About six
minutes on 2 cores, and four more for the baselines of benchmarks/race.py if they are not there.
"""

import json
from pathlib import Path

from benchmarks.race import held_out
from signmnist.baseline import BATCH_SIZE, augment, compile_cnn
from signmnist.data import load_sign_mnist, replacing
from signmnist.runtime import use_keras_2
from signmnist.splits import group_split, photo_groups
from signmnist.training import accuracy, train

use_keras_2()
import tensorflow as tf
from qkeras import QConv2D, QDense, quantized_bits, quantized_po2

FIGURES = Path(__file__).with_suffix(".json")
EPOCHS = 5
QUANTIZERS = {
    "alpha 1": lambda: quantized_bits(4, 0, alpha=1),
    "alpha 1/4": lambda: quantized_bits(4, 0, alpha=0.25),
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


def main():
    data = load_sign_mnist()
    x, judged, teacher, _ = held_out(data)
    y = data.y_train[group_split(data.y_train, photo_groups(data.x_train))[0]]
    figures = {"float": accuracy(teacher, *judged)}
    for name, quantizer in QUANTIZERS.items():
        tf.keras.utils.set_random_seed(0)
        model = compile_cnn(quantized_copy(teacher, quantizer), len(x), EPOCHS, 1e-3)
        settings = {"seed": 0, "batch_size": BATCH_SIZE, "augment": augment}
        train(model, x, y, epochs=EPOCHS, name=name, **settings)
        figures[name] = accuracy(model, *judged)
        print(f"\n{name}: {figures[name]:.2%}", flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
