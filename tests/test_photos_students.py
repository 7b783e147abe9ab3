"""Students: their widths, their training with growing photos, and among levels."""

import numpy as np
import pytest

import benchmarks.photos
from photos.networks import folded_weights, kept_blocks
from photos.recipes import KEPT_BLOCKS, SMALL
from photos.students import (
    build_student,
    distil_photos,
    round_student,
    step_of,
    weights_of,
    with_levels,
)
from photos.training import altered_copies, predict_keras

TRAINING = {"sides": [[32, 1], [48, 1]], "learning_rate": 1e-4, "batch_size": 32}
RECIPE = {"side": 48, "stem": 24, "widths": [[2, 40], [11, 64]], "noise": 3.0, "penalty": 0.0}
RECIPE |= {"training": TRAINING, "levels": {**TRAINING, "sides": [[48, 4]], "learning_rate": 1e-2}}


@pytest.fixture(scope="module")
def student(photos_sample):
    weights = kept_blocks(folded_weights(), KEPT_BLOCKS)
    return build_student(RECIPE, weights, photos_sample.training)


@pytest.fixture(scope="module")
def bank(student, photos_sample):
    return altered_copies(photos_sample.training, student, 0, 2, 0, 48)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def zeros(model):
    return np.mean(np.concatenate([np.ravel(w[0]) for w in weights_of(model).values()]) == 0)


def test_a_student_is_as_wide_as_its_recipe_says(student):
    shapes = {name: values[0].shape for name, values in weights_of(student).items()}
    assert shapes["stem"][-1] == shapes["block1_depthwise"][2] == 24
    assert shapes["block2_expand"][-1] == shapes["block2_project"][2] == 40
    assert shapes["block3_expand"][-1] == 144
    assert shapes["block8_expand"][-1] == 64 and "block9_expand" not in shapes


def test_a_narrower_student_starts_from_the_weights_of_a_wider_one(student, photos_sample):
    narrower = build_student(
        RECIPE | {"widths": [[2, 16], [11, 64]]}, weights_of(student), photos_sample.training
    )
    mine, theirs = (m.get_layer("block2_expand").get_weights()[0] for m in (narrower, student))
    assert mine.shape[-1] == 16
    assert all((mine[..., i : i + 1] == theirs).all(axis=(0, 1, 2)).any() for i in range(16))


def test_distillation_teaches_what_the_teacher_says(student, bank, photos_sample):
    learner = build_student(RECIPE, weights_of(student), photos_sample.training)
    first = learner.get_layer("animals").get_weights()
    learner.get_layer("animals").set_weights([0 * first[0], first[1]])
    distil_photos(learner, bank, TRAINING | {"sides": [[32, 4], [48, 8]]}, "test")
    taught = predict_keras(learner, bank[0]).argmax(axis=1)
    assert np.mean(taught == bank[1].argmax(axis=1)) > 0.8


@pytest.mark.parametrize("levels, step", [([1, -3], 1), ([4, -6, 0], 2), ([5, -5], 5), ([0], None)])
def test_the_step_of_a_kernel_is_the_largest_that_all_its_weights_are_multiples_of(levels, step):
    found = step_of(np.float32(levels) * np.float32(0.013))
    assert found == pytest.approx(0.013 * step if step else 1.0)


@pytest.mark.parametrize("changed", [{"widths": [[2, 16]]}, {}])
def test_a_trial_rounds_the_network_that_its_record_tells_of(photos_sample, changed, monkeypatch):
    copies = {"count": 1, "mixtures": 0, "side": 32}
    small = SMALL | {"copies": copies, "side": 32, "training": TRAINING, "levels": TRAINING}
    monkeypatch.setattr(benchmarks.photos, "SMALL", small)
    monkeypatch.setattr(benchmarks.photos, "SIDE", 64)
    tried = []

    def note(model, *_):
        tried.append({name: values[0].shape for name, values in weights_of(model).items()})
        return model, model

    monkeypatch.setattr(benchmarks.photos, "round_student", note)
    judged_on, figures = benchmarks.photos.run(photos_sample, "SMALL", small | changed, 0)
    assert tried[0]["block2_expand"][-1] == (16 if "widths" in changed else 96)
    assert judged_on == f"{len(photos_sample.validation.y)} held-out photos"
    assert figures["levels"]["bytes_gzip"] > 0


def test_training_among_levels_keeps_to_them_and_a_penalty_makes_zeros(
    student, bank, photos_sample
):
    pixels = photos_sample.training.pixels[:8]
    found = []
    for penalty in (0.0, 1e-3):
        recipe = RECIPE | {"penalty": penalty}
        rounded, trained = round_student(student, pixels, bank, recipe, "test")
        same = predict_keras(with_levels(rounded, penalty), pixels)
        assert same == pytest.approx(predict_keras(rounded, pixels), abs=1e-3)
        found.append((zeros(rounded), zeros(trained)))
        for name, (kernel, _) in weights_of(trained).items():
            before = np.abs(weights_of(rounded)[name][0])
            if name != "animals":
                steps = kernel / before[before > 0].min()
                assert steps == pytest.approx(np.round(steps), abs=1e-3)
    assert found[0][0] == found[1][0]
    assert found[1][1] > found[0][1]
