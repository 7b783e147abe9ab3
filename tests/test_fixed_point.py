import numpy as np
import pytest

from toolkit.fixed_point import choose_step, fixed_point, to_nearest

WEIGHTS = np.random.default_rng(0).normal(0, 2, (3, 5, 40)).astype(np.float32)
CHOICES = [(channels, clip) for channels in (False, True) for clip in (False, True)]


def squared_error(weights, bits, step):
    return float(np.sum((to_nearest(weights, bits, step).astype(float) - weights) ** 2))


@pytest.mark.parametrize(
    "overflow, signed, stored",
    [
        # quarters: 23 = 10111b, 14 = 01110b, 4 = 00100b, 1 = 00001b; the fraction is two bits
        ("drop", False, [4.75, 2.5, 0.0, -0.25]),  # 10_11b, 01_10b, 00_00b, 00_01b
        ("floor", False, [1.75, 3.5, 1.0, -0.25]),  # 01_11b: its fifth bit is lost
        ("floor", True, [0.75, 2.5, 0.0, -0.25]),  # 0__11b, 1__10b, 0__00b, 0__01b
        ("top", False, [5.5, 3.5, 1.0, 0.0]),  # 1011_b, 0111_b, 0010_b, 0000_b
        ("saturate", False, [3.75, 3.5, 1.0, -0.25]),
        ("drop", True, [4.75, 0.5, 0.0, -0.25]),  # 1__11b, 0__10b, 0__00b, 0__01b
        ("top", True, [5.0, 3.0, 1.0, 0.0]),  # 101__b, 011__b, 001__b, 000__b
        ("saturate", True, [1.75, 1.75, 1.0, -0.25]),
    ],
)
def test_what_four_bits_with_two_of_fraction_make_of_larger_numbers(overflow, signed, stored):
    weights = np.array([5.75, 3.5, 1.0, -0.3], np.float32)
    assert fixed_point(weights, 4, 2, overflow, signed).tolist() == stored


def test_where_the_fraction_takes_all_bits_the_whole_part_is_dropped():
    weights = np.array([5.75, 3.5, 1.0, -0.3], np.float32)
    assert fixed_point(weights, 2, 2).tolist() == [0.75, 0.5, 0.0, -0.25]


def test_numbers_are_cut_towards_zero_on_either_side():
    weights = np.array([0.99, -0.99, 1.49, -1.49, 0.49, -0.49], np.float32)
    assert fixed_point(weights, 4, 1).tolist() == [0.5, -0.5, 1.0, -1.0, 0.0, 0.0]


@pytest.mark.parametrize("overflow", ["drop", "floor", "top", "saturate"])
@pytest.mark.parametrize("signed", [False, True])
def test_no_weight_grows_or_changes_its_sign_and_the_word_holds_every_magnitude(overflow, signed):
    for word, fraction in ((2, 0), (4, 2), (5, 4), (8, 4)):
        stored = fixed_point(WEIGHTS, word, fraction, overflow, signed)
        assert stored.shape == WEIGHTS.shape and stored.dtype == np.float32
        assert np.all(np.abs(stored) <= np.abs(WEIGHTS))
        assert np.all(stored * WEIGHTS >= 0)
        assert len(np.unique(np.abs(stored))) <= 2 ** (word - signed)
        assert not np.any(stored % 0.5**fraction)


def test_a_word_that_holds_all_weights_loses_only_what_is_below_the_fraction():
    readings = [fixed_point(WEIGHTS, 20, 12, overflow) for overflow in ("drop", "top", "saturate")]
    assert np.abs(WEIGHTS).max() < 2**8
    assert np.abs(readings[0] - WEIGHTS).max() < 2.0**-12
    assert np.array_equal(readings[0], readings[1]) and np.array_equal(readings[0], readings[2])


@pytest.mark.parametrize(
    "word, fraction, settings",
    [
        (4, 5, {}),
        (4, 4, {"signed": True}),
        (4, -1, {}),
        (0, 0, {}),
        (1, 0, {"signed": True}),
        (4, 2, {"overflow": "wrap"}),
    ],
)
def test_a_word_without_room_and_an_unknown_overflow_are_refused(word, fraction, settings):
    with pytest.raises(ValueError):
        fixed_point(WEIGHTS, word, fraction, **settings)


def test_floor_loses_the_top_bit_of_the_largest_weights_even_in_a_long_word():
    weights = np.array([3.0, -2.25, 1.75, 0.5], np.float32)
    assert fixed_point(weights, 16, 8, "floor").tolist() == [1.0, -0.25, 1.75, 0.5]
    assert fixed_point(np.zeros(2, np.float32), 4, 2, "floor").tolist() == [0, 0]


def test_the_nearest_multiple_is_taken_and_both_ends_saturate_alike():
    weights = np.array([0.3, -0.3, 0.6, 3.4, 3.6, 100, -100], np.float32)
    assert to_nearest(weights, 3, 1.0).tolist() == [0, 0, 1, 3, 3, 3, -3]
    assert to_nearest(weights, 3, 0.5).tolist() == [0.5, -0.5, 0.5, 1.5, 1.5, 1.5, -1.5]


def test_each_channel_can_have_its_own_step():
    weights = np.array([[0.6, 0.6, 0.6], [-9, -9, -9]], np.float32)
    steps = np.array([[1.0, 0.5, 2.0]])
    assert to_nearest(weights, 3, steps).tolist() == [[1, 0.5, 0], [-3, -1.5, -6]]


def test_the_step_is_the_smallest_power_of_two_that_leaves_no_weight_outside():
    for largest, step in ((0.875, 0.125), (0.876, 0.25), (7, 1), (7.01, 2)):
        weights = np.array([0.1, -largest], np.float32)
        assert choose_step(weights, 4) == step
    steps = choose_step(WEIGHTS, 4, channels=True)
    largest = np.abs(WEIGHTS).max(axis=(0, 1), keepdims=True)
    assert steps.shape == (1, 1, 40) and len(np.unique(steps)) > 1
    assert np.all(largest <= 7 * steps) and np.all(largest > 7 * steps / 2)


def test_without_powers_the_largest_weight_is_the_last_step():
    weights = np.array([[0.1, 0.35], [-0.9, 0.2]], np.float32)
    assert choose_step(weights, 4, powers=False) == pytest.approx(0.9 / 7)
    steps = choose_step(weights, 4, channels=True, powers=False)
    assert steps == pytest.approx(np.array([[0.9 / 7, 0.05]]))


def test_clipping_gives_up_a_rare_large_weight_for_the_many():
    weights = np.ones(1001, np.float32)
    weights[0] = 4
    assert choose_step(weights, 2) == 4  # all others become 0
    assert choose_step(weights, 2, clip=True) == 1
    assert squared_error(weights, 2, 4.0) == 1000 and squared_error(weights, 2, 1.0) == 9


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("powers", [False, True])
@pytest.mark.parametrize("channels", [False, True])
def test_clipping_never_costs_squared_error(bits, powers, channels):
    for scale in (0.01, 1.0, 3.7):
        weights = WEIGHTS * np.float32(scale)
        plain, clipped = (
            squared_error(weights, bits, choose_step(weights, bits, channels, clip, powers))
            for clip in (False, True)
        )
        assert clipped <= plain * (1 + 1e-5)


@pytest.mark.parametrize("clip", [False, True])
def test_a_power_of_two_for_each_channel_is_never_worse_than_one_for_all(clip):
    uneven = WEIGHTS * np.linspace(0.05, 3, 40, dtype=np.float32)
    for bits in (2, 3, 4, 8):
        tensor, channel = (
            squared_error(uneven, bits, choose_step(uneven, bits, channels, clip))
            for channels in (False, True)
        )
        assert channel < tensor


@pytest.mark.parametrize("channels, clip", CHOICES)
def test_steps_are_powers_of_two_where_they_are_asked_for(channels, clip):
    def are_powers(steps):
        return np.all(np.frexp(steps)[0] == 0.5)

    for bits in (2, 3, 4, 8):
        assert are_powers(choose_step(WEIGHTS, bits, channels, clip))
        assert not are_powers(choose_step(WEIGHTS, bits, channels, clip, powers=False))


@pytest.mark.parametrize("channels, clip", CHOICES)
@pytest.mark.parametrize("powers", [False, True])
def test_a_channel_of_zeros_stays_zero_and_leaves_the_others_alone(channels, clip, powers):
    some = WEIGHTS.copy()
    some[..., 3] = 0
    with np.errstate(all="raise"):
        for weights in (some, np.zeros((3, 4), np.float32)):
            step = choose_step(weights, 4, channels, clip, powers)
            rounded = to_nearest(weights, 4, step).reshape(-1, weights.shape[-1])
            assert np.all(step > 0)
            filled = np.any(weights.reshape(rounded.shape), axis=0)
            assert np.array_equal(np.any(rounded, axis=0), filled)


def test_two_bits_are_three_values():
    step = choose_step(WEIGHTS, 2, clip=True)
    values = np.unique(to_nearest(WEIGHTS, 2, step))
    assert values.tolist() == [-step.item(), 0, step.item()]
