"""Recipes are plain values, and a profile changes their epochs alone."""

import json

import pytest

from signmnist import recipes
from signmnist.recipes import (
    ACCURATE,
    CLUSTERED,
    FOUR_BITS,
    SIZE_RACE,
    in_profile,
)


def test_every_recipe_can_be_stored_as_json():
    found = {name: value for name, value in vars(recipes).items() if isinstance(value, dict)}
    found = {name: value for name, value in found.items() if name.isupper()}
    assert json.loads(json.dumps(found)) == found
    assert set(recipes.CHOSEN) <= set(found)


@pytest.mark.parametrize("recipe", [ACCURATE, CLUSTERED, SIZE_RACE, FOUR_BITS])
def test_full_is_the_recipe_and_smoke_one_epoch_of_it(recipe):
    assert in_profile(recipe, "full") == recipe
    assert in_profile(recipe, "smoke") == recipe | {"epochs": 1}
    assert 1 <= in_profile(recipe, "quick")["epochs"] < recipe["epochs"]


def test_all_of_the_race_is_taught_by_the_same_copies():
    for name in ("RACE_97", "RACE_ACCURATE", "SMALL_MEMORY"):
        for key in ("augmentation", "copies", "temperature"):
            assert getattr(recipes, name)[key] == SIZE_RACE[key]
