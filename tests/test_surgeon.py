"""Pruning and rounding one layer by the second moments of its inputs."""

import numpy as np
import pytest

from toolkit.surgeon import prune_and_round, step_for_noise

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(1, 40, 6))
UNRELATED = 100 * np.eye(40)[None]


def correlated(inputs=40, rows=500):
    x = RNG.normal(size=(rows, 8)) @ RNG.normal(size=(8, inputs))
    x += 0.3 * RNG.normal(size=x.shape)
    return x, (x.T @ x)[None]


def test_unrelated_inputs_lose_their_smallest_weights_and_no_other_weight_moves():
    pruned = prune_and_round(KERNEL, UNRELATED, 0.5)
    assert np.mean(pruned == 0) == 0.5
    assert np.abs(KERNEL[pruned == 0]).max() < np.abs(KERNEL[pruned != 0]).min()
    assert pruned[pruned != 0] == pytest.approx(KERNEL[pruned != 0])


def test_unrelated_inputs_are_rounded_to_the_nearest_level():
    rounded = prune_and_round(KERNEL, UNRELATED, step=0.5, most=3)
    assert rounded == pytest.approx(np.clip(np.round(KERNEL / 0.5), -3, 3) * 0.5)


def test_the_twin_of_a_pruned_input_takes_its_weight_over():
    x = RNG.normal(size=(300, 1)) @ np.ones((1, 2)) + 1e-3 * RNG.normal(size=(300, 2))
    kernel = np.array([[[1.0], [2.0]]])
    pruned = prune_and_round(kernel, (x.T @ x)[None], 0.5)
    assert sorted(np.ravel(pruned)) == pytest.approx([0, 3], abs=0.05)


@pytest.mark.parametrize("how", [{"sparsity": 0.6}, {"step": 0.7}])
def test_the_output_changes_less_than_by_cutting_or_rounding_each_weight_alone(how):
    x, moments = correlated()
    if "step" in how:
        alone = np.round(KERNEL / 0.7) * 0.7
    else:
        alone = np.where(np.abs(KERNEL) < np.quantile(np.abs(KERNEL), 0.6), 0, KERNEL)
    changed = prune_and_round(KERNEL, moments, **how)
    errors = [np.sum((x @ (new - KERNEL)[0]) ** 2) for new in (changed, alone)]
    assert errors[0] < 0.5 * errors[1]


def test_only_what_is_kept_is_nonzero_and_each_group_has_its_own_inputs():
    kept = RNG.random((3, 9, 1)) < 0.5
    moments = np.stack([correlated(9)[1][0] for _ in range(3)])
    kernel = RNG.normal(size=(3, 9, 1))
    together = prune_and_round(kernel, moments, kept=kept)
    assert not together[~kept].any() and together[kept].all()


def test_the_step_gives_the_noise_that_was_asked_for():
    x = RNG.normal(size=(4000, 40))
    step = step_for_noise(KERNEL, (x.T @ x)[None], 0.05)
    error = np.sum((x @ (np.round(KERNEL[0] / step) * step - KERNEL[0])) ** 2)
    assert error / np.sum((x @ KERNEL[0]) ** 2) == pytest.approx(0.05, rel=0.15)
