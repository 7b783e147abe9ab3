import numpy as np

from signmnist.splits import group_split, photo_groups, photo_links


def test_variants_of_one_photo_share_a_group_and_photos_do_not():
    rng = np.random.default_rng(0)
    photos = rng.random((10, 28, 28, 1), np.float32)
    brighter = 0.5 * photos + 0.4
    noisy = photos + np.float32(rng.normal(0, 0.02, photos.shape))
    groups = photo_groups(photo_links(np.concatenate([photos, brighter, noisy])))
    assert len(set(groups)) == 10
    assert (groups[:10] == groups[10:20]).all() and (groups[:10] == groups[20:]).all()


def test_groups_join_through_a_chain_of_links():
    start, end = np.random.default_rng(1).random((2, 28, 28, 1), np.float32)
    steps = np.linspace(0, 1, 30, dtype=np.float32)[:, None, None, None]
    assert len(set(photo_groups(photo_links((1 - steps) * start + steps * end)))) == 1


def test_no_photo_is_on_both_sides_of_the_split():
    groups = np.repeat(np.arange(200), 5)
    labels = groups % 4
    training, validation = group_split(labels, groups)
    assert not set(groups[training]) & set(groups[validation])
    assert sorted([*training, *validation]) == list(range(1000))
    assert len(validation) == 200
    assert (np.bincount(labels[validation]) == 50).all()


def test_the_training_file_has_1143_groups_of_one_letter_each(real):
    groups = real.train_groups
    assert groups.max() + 1 == 1143
    assert all(len(set(real.y_train[groups == group])) == 1 for group in range(1143))


def test_a_quarter_of_the_test_file_has_twins_in_training(real):
    assert np.sum(~real.has_twin) == 5389
    assert len(set(real.test_groups)) == 331
