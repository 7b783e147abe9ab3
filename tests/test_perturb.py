import numpy as np

from signmnist.perturb import perturbations, survival


def test_each_change_does_what_its_name_says():
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, 10, 12] = 0.5
    changed = dict(perturbations(image))
    assert np.array_equal(changed["as they are"], image)
    for name, place in {
        "1 px left": (10, 11),
        "2 px right": (10, 14),
        "2 px up": (8, 12),
        "1 px down": (11, 12),
    }.items():
        assert np.unravel_index(changed[name][0, ..., 0].argmax(), (28, 28)) == place
    assert changed["10% brighter"].max() == np.float32(0.6)
    assert changed["10% darker"].min() == 0 and changed["10% darker"].max() == np.float32(0.4)
    assert not np.array_equal(changed["turned -5°"], changed["turned +5°"])


def test_images_keep_their_form_and_range(sample):
    for _, images in perturbations(sample.x_test[:20]):
        assert images.shape == (20, 28, 28, 1) and images.dtype == np.float32
        assert images.min() >= 0 and images.max() <= 1


def test_survival_counts_what_is_read_right_under_each_change(sample):
    images, labels = sample.x_test[:30], sample.y_test[:30]
    always_a = np.eye(24)[np.zeros(30, int)]
    shares = survival(lambda changed: always_a, images, labels)
    assert set(shares.values()) == {np.mean(labels == 0)}
    assert list(shares) == [name for name, _ in perturbations(images)]
