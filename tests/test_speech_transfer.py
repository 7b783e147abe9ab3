import numpy as np
import pytest

from speech.data import Clips
from speech.networks import BATCH_SIZE, as_waveform, build_wave_cnn
from speech.recipes import TRANSFER
from speech.transfer import in_copies, some_clips, split_network, train_last_layers
from toolkit.half import cast_network
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

RNG = np.random.default_rng(0)
WAVES = RNG.integers(-9000, 9000, (6, 8000)).astype(np.int16)


def test_the_two_parts_of_a_network_are_the_whole():
    model = build_wave_cnn()
    front, last = split_network(model, "conv5")
    x = as_waveform(tf.cast(WAVES, tf.float32) / 32768)
    np.testing.assert_allclose(last(front(x)), model(x), atol=1e-6)
    assert front.count_params() + last.count_params() == model.count_params() == 188_569
    assert last.count_params() == 3 * 128 * 160 + 4 * 160 + 160 * 9 + 9
    with pytest.raises(ValueError, match="conv6"):
        split_network(model, "conv6")


def test_copies_are_altered_each_in_its_own_way_and_the_same_again():
    front, _ = split_network(cast_network(build_wave_cnn(), tf.float16), "conv5")
    given = in_copies(front, WAVES, 2)
    assert given.shape == (2, 6, 31, 128) and given.dtype == tf.float16
    assert not np.array_equal(given[0], given[1])
    assert np.array_equal(given, in_copies(front, WAVES, 2))


def test_a_share_has_one_batch_at_least_and_no_clip_twice():
    clips = Clips(np.zeros((1000, 1)), np.zeros(1000), np.zeros(1000), np.zeros(1000))
    assert len(some_clips(clips, 0.01, 0)) == BATCH_SIZE
    half = some_clips(clips, 0.5, 0)
    assert len(set(half)) == len(half) == 500
    assert set(half) != set(some_clips(clips, 0.5, 1))


def test_the_last_layers_learn_what_the_first_tell_apart():
    y = np.arange(200) % 2
    given = RNG.normal(size=(1, 200, 31, 128)) * 0.1
    given[0, :, :, 0] += y[:, None]
    recipe = TRANSFER | {"updates": 25, "learning_rate": 0.1}
    last, losses = train_last_layers(tf.constant(given, tf.float16), y, recipe, 0)
    assert len(losses) == 25 and losses[-1] < 0.2 < 1 < losses[0]
    assert last.count_params() == split_network(build_wave_cnn(), "conv5")[1].count_params()
