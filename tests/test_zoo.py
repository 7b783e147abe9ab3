"""A zoo of small networks: rewritten they are the same, or a ModelError says why not."""

import functools

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from toolkit.anatomy import PARTS, anatomy, container_floor
from toolkit.graph import TYPES, as_array, read_model, store, write_model
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.proof import ROUNDING
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, constants, gzip_size, quiet

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers
RNG = np.random.default_rng(0)


def convert(model, kind="float", **settings):
    """The bytes of a Keras model as a .tflite file of this kind."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    shapes = [[n or 1 for n in tensor.shape] for tensor in model.inputs]
    if kind != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind.startswith("int"):
        converter.representative_dataset = lambda: (
            [RNG.random(shape, np.float32) for shape in shapes] for _ in range(10)
        )
    if kind == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if kind == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    for name, value in settings.items():
        setattr(converter, name, value)
    with quiet():
        return converter.convert()


ONE_SCALE = {
    "_experimental_disable_per_channel": True,
    "_experimental_disable_per_channel_quantization_for_dense_layers": True,
}


def whole(shape, dtype=None):
    """Weights that are whole numbers from -7 to 7 times one step, as `to_int4` wants them."""
    return RNG.integers(-7, 8, shape).astype(np.float32) / 20


def conv(width, **settings):
    settings = {"activation": "relu", "padding": "same", "kernel_initializer": whole} | settings
    return layers.Conv2D(width, settings.pop("size", 3), **settings)


def dense(width, **settings):
    return layers.Dense(width, **{"kernel_initializer": whole} | settings)


def network(function, *shapes, batch=None):
    """The Keras model of a function of inputs of these shapes."""
    inputs = [layers.Input(shape, batch_size=batch) for shape in shapes or [(12, 12, 1)]]
    return tf.keras.Model(inputs, function(*inputs))


def plain(x):
    x = conv(8)(conv(4)(x))
    return dense(6)(layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x)))


def residual(x):
    x = conv(4)(x)
    x = layers.ReLU()(layers.Add()([x, conv(4, activation=None)(x)]))
    return dense(6)(layers.GlobalAveragePooling2D()(x))


def shared_dense(x):
    layer, x = dense(12, activation="relu"), dense(12, activation="relu")(layers.Flatten()(x))
    return dense(6)(layer(layer(x)))


def shared_conv(x):
    layer, x = conv(8), conv(8)(x)
    return dense(6)(layers.GlobalAveragePooling2D()(layer(layer(x))))


def odd(x):
    x = conv(4, padding="valid", strides=2)(x)
    return dense(6)(layers.Flatten()(layers.AveragePooling2D(2)(x)))


def reshape_as_weights():
    @tf.function(input_signature=[tf.TensorSpec((3, 8)), tf.TensorSpec((2, 6))])
    def product(weights, x):
        return tf.matmul(x, tf.reshape(weights, (4, 6)), transpose_b=True)

    with quiet():
        concrete = product.get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def mirror_pad():
    return convert(network(lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")))


def in_uint8(content):
    """An int8 file with one scale a tensor as the uint8 file of older converters."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == TYPES.INT8:
            if tensor.data:
                values = as_array(tensor).astype(int) + 128
                tensor.type = TYPES.UINT8
                store(tensor, values)
            tensor.type = TYPES.UINT8
            tensor.quantization.zeroPoint = np.array(tensor.quantization.zeroPoint) + 128
    return write_model(model)


def all_convolutions(x):
    x = layers.MaxPooling2D()(conv(4, padding="valid")(x))
    return conv(6, size=5, padding="valid", activation=None)(conv(5, size=1)(x))


def clipped(x):
    x = layers.ReLU(6.0)(conv(4, activation=None)(x))
    return dense(6)(layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(conv(8, activation=None)(x))))


def two_inputs(x, y):
    return dense(6)(layers.Concatenate()([layers.Flatten()(x), dense(5, activation="relu")(y)]))


def unrolled(x):
    return dense(6)(layers.LSTM(8)(x))


def not_relu(x):
    x = conv(8, activation=None)(conv(4, activation=None)(x))
    return dense(6)(layers.GlobalAveragePooling2D()(x))


ZOO = {
    "plain float": lambda: convert(network(plain)),
    "plain int8": lambda: convert(network(plain), "int8", **ONE_SCALE),
    "per channel": lambda: convert(network(plain), "int8"),
    "int8 with float ends": lambda: convert(network(plain), "int8 inside", **ONE_SCALE),
    "uint8 ends": lambda: convert(
        network(plain), "int8", **ONE_SCALE, inference_input_type=tf.uint8,
        inference_output_type=tf.uint8
    ),
    "int16x8": lambda: convert(network(plain), "int16x8"),
    "int16x8 one scale": lambda: convert(network(plain), "int16x8", **ONE_SCALE),
    "float16": lambda: convert(network(plain), "float16"),
    "dynamic range": lambda: convert(
        network(lambda x: dense(6)(dense(64)(layers.Flatten()(x)))), "dynamic"
    ),
    "softmax": lambda: convert(
        network(lambda x: layers.Softmax()(plain(x))), "int8", **ONE_SCALE
    ),
    "residual": lambda: convert(network(residual), "int8", **ONE_SCALE),
    "residual float": lambda: convert(network(residual)),
    "depthwise": lambda: convert(
        network(lambda x: plain(layers.DepthwiseConv2D(3, activation="relu")(conv(4)(x)))),
        "int8", **ONE_SCALE
    ),
    "grouped": lambda: convert(network(lambda x: plain(conv(8, groups=2)(conv(4)(x))))),
    "shared dense": lambda: convert(network(shared_dense), "int8", **ONE_SCALE),
    "shared convolution": lambda: convert(network(shared_conv), "int8", **ONE_SCALE),
    "two inputs": lambda: convert(network(two_inputs, (4, 4, 1), (3,))),
    "lstm": lambda: convert(network(unrolled, (5, 4), batch=1)),
    "lstm int8": lambda: convert(network(unrolled, (5, 4), batch=1), "int8"),
    "flatten of rank 3": lambda: convert(
        network(lambda x: dense(6)(layers.Flatten()(x)), (5, 4)), "int8", **ONE_SCALE
    ),
    "flatten of rank 5": lambda: convert(
        network(lambda x: dense(6)(layers.Flatten()(x)), (2, 3, 4, 2)), "int8", **ONE_SCALE
    ),
    "flatten of rank 7": lambda: convert(
        network(lambda x: dense(6)(layers.Flatten()(x)), (2, 1, 3, 1, 2, 2))
    ),
    "odd sizes": lambda: convert(network(odd, (13, 11, 1)), "int8", **ONE_SCALE),
    "all convolutions": lambda: convert(network(all_convolutions)),
    "clipped at 6": lambda: convert(network(clipped), "int8", **ONE_SCALE),
    "no activation": lambda: convert(network(not_relu), "int8", **ONE_SCALE),
    "transposed convolution": lambda: convert(
        network(lambda x: layers.Conv2DTranspose(2, 3, strides=2)(conv(4)(x))), "int8"
    ),
    "reshaped output": lambda: convert(
        network(lambda x: layers.Reshape((2, 3))(plain(x))), "int8", **ONE_SCALE
    ),
    "two outputs": lambda: convert(
        network(lambda x: [plain(x), layers.GlobalMaxPooling2D()(conv(4)(x))]), "int8", **ONE_SCALE
    ),
    "embedding": lambda: convert(network(lambda x: dense(6)(layers.Embedding(9, 4)(x)), (5,))),
    "uint8": lambda: in_uint8(convert(network(all_convolutions), "int8", **ONE_SCALE)),
    "mirror pad": mirror_pad,
    "reshape as weights": reshape_as_weights,
}  # fmt: skip


@functools.cache
def animal(name):
    tf.keras.utils.set_random_seed(0)
    return ZOO[name]()


def scores(content, resolver, grown=0, copies=1):
    """The outputs for random inputs, of `copies` images and `grown` pixels larger, or None."""
    rng = np.random.default_rng(1)
    try:
        with quiet():
            interpreter = Interpreter(
                model_content=content, experimental_op_resolver_type=resolver, num_threads=1
            )
            for detail in interpreter.get_input_details():
                shape = list(detail["shape"])
                if len(shape) > 2:
                    shape[1:-1] = [size + grown for size in shape[1:-1]]
                if copies > 1:
                    shape[0] = copies
                interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            for detail in interpreter.get_input_details():
                if np.issubdtype(detail["dtype"], np.floating):
                    values = 3 * rng.random(detail["shape"])
                else:
                    values = rng.integers(0, 9, detail["shape"])
                interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
            interpreter.invoke()
            details = interpreter.get_output_details()
            return [(interpreter.get_tensor(d["index"]), d["quantization"]) for d in details]
    except (ValueError, RuntimeError):
        return None


RESOLVERS = OpResolverType.BUILTIN, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
SIZES = {"as it is": {}, "three at once": {"copies": 3}, "larger": {"grown": 1}}


@pytest.mark.parametrize("name", ZOO)
def test_repacked_it_gives_every_score_that_it_gave(name):
    content = animal(name)
    packed = repack(content, tries=30)
    assert gzip_size(packed) < gzip_size(content)
    compared = 0
    for resolver in RESOLVERS:
        for size in SIZES.values():
            before = scores(content, resolver, **size)
            if before is not None:
                after = scores(packed, resolver, **size)
                for (one, _), (other, _) in zip(before, after, strict=True):
                    np.testing.assert_array_equal(one, other)
                compared += 1
    assert compared >= 2


# what is not an int8 network with weights on a grid cannot be one in 4 bits
REFUSED = {
    "plain float": "int8",
    "per channel": "one scale",
    "int16x8": "int8",
    "int16x8 one scale": "int8",
    "float16": "int8",
    "dynamic range": "int8",
    "residual float": "int8",
    "grouped": "int8",
    "shared dense": "several places",
    "shared convolution": "several places",
    "lstm": "int8",
    "lstm int8": "one scale|whole multiples",
    "flatten of rank 7": "int8",
    "all convolutions": "int8",
    "two inputs": "int8",
    "transposed convolution": "one scale|whole multiples",
    "embedding": "int8",
    "uint8": "int8",
    "reshape as weights": "int8",
}


@pytest.mark.parametrize("name", ZOO)
def test_in_4_bits_its_scores_stay_within_the_bound_or_it_is_refused(name):
    content = animal(name)
    if name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name]):
            to_int4(content)
        return
    for resolver in RESOLVERS:
        before, after = scores(content, resolver), scores(to_int4(content), resolver)
        for (one, detail), (other, new) in zip(before, after, strict=True):
            values = [a.astype(float) for a in (one, other)]
            if detail[0]:
                values = [(v - z) * s for v, (s, z) in zip(values, (detail, new), strict=True)]
            span = 255 * detail[0] if detail[0] else np.ptp(values[0])
            assert np.abs(values[0] - values[1]).max() <= ROUNDING * span


@pytest.mark.parametrize("name", ZOO)
def test_its_parts_and_constants_are_known_and_its_floor_is_below_its_size(name, tmp_path):
    content = animal(name)
    parts = anatomy(content)
    assert tuple(parts) == PARTS and sum(parts.values()) == len(content)
    (tmp_path / "a.tflite").write_bytes(content)
    numbers = sum(array.nbytes for array in constants(tmp_path / "a.tflite"))
    assert numbers >= parts["weights"] + parts["biases"]
    assert container_floor(content) <= gzip_size(repack(content, tries=0, fixed_size=True))
