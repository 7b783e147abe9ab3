"""What the 64-bit biases of an int16x8 model cost: the same network with biases of 32 bits.

    .venv/bin/python -m benchmarks.int16x8

Converts the committed accurate baseline both ways and measures, in one run, latency, bytes,
the arena of TFLite Micro and on how many test images the two disagree. The figures go to
benchmarks/int16x8.json. Half a minute.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from signmnist.data import load_sign_mnist
from toolkit.files import replacing
from toolkit.runtime import use_keras_2
from toolkit.tflite import latency, predict_tflite, run_micro, save_tflite, sizes

use_keras_2()
import tensorflow as tf

FIGURES = Path(__file__).with_suffix(".json")


def main():
    data = load_sign_mnist()
    baseline = tf.keras.models.load_model("models/sign_mnist_baseline.keras", compile=False)
    rows = np.random.default_rng(0).choice(len(data.x_train), 300, replace=False)
    models, letters = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for bits, kind in ((64, None), (32, tf.int32)):
            path = Path(folder, f"bias{bits}.tflite")
            converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([data.x_train[i : i + 1]] for i in rows)
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
            if kind:
                converter._experimental_full_integer_quantization_bias_type = kind
            save_tflite(converter, path)
            letters.append(predict_tflite(path, data.x_test).argmax(axis=1))
            models[str(bits)] = {
                "errors": int(np.sum(letters[-1] != data.y_test)),
                "latency_us": latency(path, data.x_test)[0],
                "arena_bytes": run_micro(path, data.x_test[:10]).arena_bytes,
                **sizes(path),
            }
    figures = {
        **models,
        "disagree": int(np.sum(letters[0] != letters[1])),
        "ratio": models["64"]["latency_us"] / models["32"]["latency_us"],
    }
    print(figures)
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
