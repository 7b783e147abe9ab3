import numpy as np
import pytest

from signmnist.perturb import harder_changes, perturbations, survival


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


def test_each_harder_change_does_what_its_name_says():
    image = np.full((1, 28, 28, 1), 0.25, np.float32)
    image[0, 4:7, 12:15] = 1
    changed = {name: images[0, ..., 0] for name, images in harder_changes(image)}

    def middle(name):
        return np.argwhere(changed[name] > 0.6).mean(axis=0).tolist()

    assert middle("4 px left") == [5, 9] and middle("4 px right") == [5, 17]
    assert middle("4 px up") == [1, 13] and middle("4 px down") == [9, 13]
    # the square lies 8.5 above the image's middle: turned by 30°, 7.4 above it and 4.3 beside it
    assert middle("turned +30°") == pytest.approx([6.1, 8.8], abs=0.5)
    assert middle("turned -30°") == pytest.approx([6.1, 17.3], abs=0.8)
    assert changed["gamma 0.5"].min() == 0.5 and changed["gamma 2"].min() == 0.0625
    assert changed["gamma 0.5"].max() == 1
    assert changed["motion blur, 5 px"][5, 13] == pytest.approx(0.7)  # 3 pixels of 1, 2 of 0.25
    assert changed["motion blur, 5 px"][5, [9, 17]] == pytest.approx([0.25, 0.25])


def test_a_patch_of_49_pixels_is_gray_and_lies_elsewhere_in_each_image():
    images = np.ones((200, 28, 28, 1), np.float32)
    covered = dict(harder_changes(images))["7x7 patch covered"] == 0.5
    assert (covered.sum(axis=(1, 2, 3)) == 49).all()
    rows, columns = covered.any(axis=2)[..., 0], covered.any(axis=1)[..., 0]
    assert (rows.sum(axis=1) == 7).all() and (columns.sum(axis=1) == 7).all()
    firsts = {(row.argmax(), column.argmax()) for row, column in zip(rows, columns, strict=True)}
    assert len(firsts) > 100 and {first for first, _ in firsts} == set(range(22))


def test_noise_has_its_standard_deviation_and_jpeg_keeps_a_flat_image():
    gray = np.full((20, 28, 28, 1), 0.5, np.float32)
    changed = dict(harder_changes(gray))
    assert changed["noise, σ 0.12"].std() == pytest.approx(0.12, abs=0.002)
    assert changed["JPEG, quality 20"] == pytest.approx(0.5, abs=0.01)
    edge = gray.copy()
    edge[:, :, 13:] = 0.9
    assert np.abs(dict(harder_changes(edge))["JPEG, quality 20"] - edge).max() > 0.02


def test_images_keep_their_form_and_range(sample):
    some = sample.x_test[:20]
    for _, images in [*perturbations(some), *harder_changes(some)]:
        assert images.shape == (20, 28, 28, 1) and images.dtype == np.float32
        assert images.min() >= 0 and images.max() <= 1


def test_survival_counts_what_is_read_right_under_each_change(sample):
    images, labels = sample.x_test[:30], sample.y_test[:30]
    always_a = np.eye(24)[np.zeros(30, int)]
    shares = survival(lambda changed: always_a, images, labels)
    assert set(shares.values()) == {np.mean(labels == 0)}
    assert list(shares) == [name for name, _ in perturbations(images)]
