"""Networks whose weights are small whole numbers times one step a layer."""

import numpy as np
import tensorflow_model_optimization as tfmot

from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers
GRID = 7  # largest whole number: -7 to 7 fit 4 bits


@tf.custom_gradient
def round_through(x):
    """Rounds, but passes the gradient as it is (Bengio et al., 2013)."""
    return tf.round(x), lambda gradient: gradient


def to_grid(kernel):
    """What a kernel, in steps, is in the forward pass: whole numbers of at most GRID."""
    return round_through(tf.clip_by_value(kernel, -GRID, GRID))


class GridConv2D(tf.keras.layers.Conv2D, tfmot.sparsity.keras.PrunableLayer):
    """A convolution with whole-number weights; SharedScaleNorm after it sets the step."""

    def call(self, inputs):
        return self.convolution_op(inputs, to_grid(self.kernel))

    def get_prunable_weights(self):
        return [self.kernel]


class SharedScaleNorm(tf.keras.layers.Layer, tfmot.sparsity.keras.PrunableLayer):
    """Batch normalization with one scale for all channels, so that weights keep theirs.

    Subtracts each channel's mean, divides by the standard deviation of the whole layer,
    multiplies by one trained scale and adds a bias for each channel.
    """

    momentum, epsilon = 0.97, 1e-5

    def build(self, shape):
        channels = shape[-1:]
        self.scale = self.add_weight("scale", (), initializer="ones")
        self.bias = self.add_weight("bias", channels, initializer="zeros")
        self.mean = self.add_weight("mean", channels, initializer="zeros", trainable=False)
        self.variance = self.add_weight("variance", (), initializer="ones", trainable=False)

    def call(self, inputs, training=None):
        mean, variance = self.mean, self.variance
        if training:
            mean = tf.reduce_mean(inputs, axis=(0, 1, 2))
            variance = tf.reduce_mean(tf.square(inputs - mean))
            for average, value in ((self.mean, mean), (self.variance, variance)):
                average.assign(self.momentum * average + (1 - self.momentum) * value)
        return (inputs - mean) * self.step(variance) + self.bias

    def get_prunable_weights(self):
        return []

    def step(self, variance):
        """What one unit of the input is worth in the output."""
        return self.scale * tf.math.rsqrt(variance + self.epsilon)


class GridDense(tf.keras.layers.Dense, tfmot.sparsity.keras.PrunableLayer):
    """A dense layer with whole-number weights times one trained step, and a float bias, if any."""

    def build(self, shape):
        super().build(shape)
        self.step = self.add_weight("step", (), initializer="ones")

    def call(self, inputs):
        outputs = tf.matmul(inputs, to_grid(self.kernel)) * self.step
        return outputs + self.bias if self.use_bias else outputs

    def get_prunable_weights(self):
        return [self.kernel]


def best_step(kernel):
    """The step that rounds a kernel to the grid with the least squared error."""
    steps = np.abs(kernel).max() / GRID * np.linspace(0.15, 1.2, 60)
    rounded = [np.clip(np.round(kernel / step), -GRID, GRID) * step for step in steps]
    return float(steps[np.argmin([np.sum((other - kernel) ** 2) for other in rounded])])


def grid_network(model, penalty=0.0, dense_bias=True):
    """The network of `build_cnn` with its weights on a grid, ready to be fine-tuned.

    The batch normalization is folded into the kernels, a SharedScaleNorm takes its place.
    penalty: weight of the L1 norm of the kernels, in steps, in the loss; the larger, the
    more weights become 0 or 1 and the fewer bits they need. dense_bias: whether the dense
    layer keeps its bias; fine-tuning makes up for it.
    """
    regularizer = tf.keras.regularizers.L1(penalty) if penalty else None
    inputs = x = layers.Input(model.input_shape[1:], name="pixels")
    for layer, after in zip(model.layers, [*model.layers[1:], None], strict=True):
        if isinstance(layer, layers.Conv2D):
            gamma, beta, mean, variance = after.get_weights()
            gain = gamma / np.sqrt(variance + after.epsilon)
            kernel = layer.get_weights()[0] * gain
            step = best_step(kernel)
            convolution = GridConv2D(
                layer.filters,
                layer.kernel_size,
                layer.strides,
                padding=layer.padding,
                use_bias=False,
                kernel_regularizer=regularizer,
                name=layer.name,
            )
            norm = SharedScaleNorm()
            x = layers.ReLU()(norm(convolution(x)))
            convolution.set_weights([kernel / step])
            spread = np.mean(gamma**2)
            norm.set_weights([np.sqrt(spread), beta, mean * gain / step, spread / step**2])
        elif isinstance(layer, layers.Dense):
            kernel, bias = layer.get_weights()
            step = best_step(kernel)
            dense = GridDense(
                layer.units, use_bias=dense_bias, kernel_regularizer=regularizer, name=layer.name
            )
            x = dense(x)
            dense.set_weights([kernel / step, *([bias] if dense_bias else []), step])
        elif not isinstance(layer, (layers.InputLayer, layers.BatchNormalization, layers.ReLU)):
            x = layer.__class__.from_config(layer.get_config())(x)
    return tf.keras.Model(inputs, x)


def plain_network(model, average_pool=False):
    """A grid network as ordinary Keras layers, for the converter: the same function.

    average_pool: makes of global average pooling an AVERAGE_POOL_2D in the file, which takes
    fewer bytes than MEAN with its tensor of axes, but rounds the averages in coarser steps.
    """
    inputs = x = layers.Input(model.input_shape[1:], name="pixels")
    for layer, after in zip(model.layers, [*model.layers[1:], None], strict=True):
        if isinstance(layer, GridConv2D):
            step = after.step(after.variance)
            convolution = layers.Conv2D(
                layer.filters, layer.kernel_size, layer.strides, padding=layer.padding
            )
            x = convolution(x)
            convolution.set_weights([to_grid(layer.kernel) * step, after.bias - after.mean * step])
        elif isinstance(layer, GridDense):
            dense = layers.Dense(layer.units, use_bias=layer.use_bias, name=layer.name)
            x = dense(x)
            bias = [layer.bias] if layer.use_bias else []
            dense.set_weights([to_grid(layer.kernel) * layer.step, *bias])
        elif average_pool and isinstance(layer, layers.GlobalAveragePooling2D):
            x = layers.Flatten()(layers.AveragePooling2D(x.shape[1:3], name=layer.name)(x))
        elif not isinstance(layer, (layers.InputLayer, SharedScaleNorm)):
            x = layer.__class__.from_config(layer.get_config())(x)
    return tf.keras.Model(inputs, x)


def whole_numbers(model):
    """The kernels of a grid network as the int8 arrays that they are in the forward pass."""
    return [
        to_grid(layer.kernel).numpy().astype(np.int8)
        for layer in model.layers
        if isinstance(layer, (GridConv2D, GridDense))
    ]
