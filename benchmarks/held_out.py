"""What trials of signmnist/recipes.py share: the photos that judge, the files that are made."""

import hashlib
import json
from pathlib import Path

import numpy as np

from signmnist.baseline import lessons, train_accurate, train_compact
from signmnist.recipes import ACCURATE
from signmnist.splits import group_split
from toolkit.compression import (
    DYNAMIC_RANGE,
    INT8,
    ONE_SCALE,
    convert,
    representative_dataset,
    saved_or_trained,
)
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.tflite import count_correct, gzip_size, predict_tflite
from toolkit.training import accuracy

FORMATS = {"dynamic range": DYNAMIC_RANGE, "int8": INT8, "int8, one scale": INT8 | ONE_SCALE}


class HeldOut:
    """The photos to train on, `x` and `y`, and those that judge; networks that saw only the former.

    The networks that a recipe starts from are kept under checkpoints/.
    """

    def __init__(self, data):
        training, judging = group_split(data.y_train, data.train_groups)
        self.x, self.y = data.x_train[training], data.y_train[training]
        self.x_judged, self.y_judged = data.x_train[judging], data.y_train[judging]
        photos = len(np.unique(data.train_groups[judging]))
        self.judged_on = f"{len(judging):,} images of {photos:,} held-out photos"
        self.sha256 = data.sha256

    def kept(self, train_it, *recipes):
        """The network that train_it() returns, with its history, by these recipes."""
        digest = hashlib.sha256(json.dumps([self.sha256, *recipes]).encode()).hexdigest()
        return saved_or_trained(Path("checkpoints", f"trials-{digest[:12]}.keras"), train_it)

    def accurate(self):
        return self.kept(lambda: train_accurate(self.x, self.y, ACCURATE), ACCURATE)

    def compact(self, recipe, seed=0):
        teacher = self.accurate()
        return self.kept(
            lambda: train_compact(self.x, teacher, recipe, seed), ACCURATE, recipe, seed
        )

    def calibration(self):
        """300 of the images to train on, always the same, for the LiteRT Quantizer."""
        return self.x[np.random.default_rng(0).choice(len(self.x), 300, replace=False)]

    def judge(self, made):
        """The figures of a Keras model or of the path of a .tflite file, a dict."""
        if not isinstance(made, Path):
            return {"accuracy": accuracy(made, self.x_judged, self.y_judged)}
        right = count_correct(predict_tflite(made, self.x_judged), self.y_judged)
        size = gzip_size(made.read_bytes())
        return {"accuracy": right / len(self.y_judged), "bytes_gzip": size}


def files(model, held, folder, *kinds):
    """Kind -> path of the .tflite file of a Keras model, for some of FORMATS."""
    calibration, made = {"representative_dataset": representative_dataset(held.x)}, {}
    for kind in kinds:
        settings = FORMATS[kind] | (calibration if "int8" in kind else {})
        made[kind] = convert(model, Path(folder, f"{kind}.tflite"), **settings)
    return made


def int4_file(model, held, folder, least, **settings):
    """{"int4": path} of a plain network whose weights lie on the grid. least: see `repack`."""
    path = files(model, held, folder, "int8, one scale")["int8, one scale"]
    small = Path(folder, "int4.tflite")
    content = to_int4(path.read_bytes(), fixed_size=True, **settings)
    small.write_bytes(repack(content, least, fixed_size=True))
    return {"int4": small}


TAUGHT: dict = {}


def taught(held, recipe, seed):
    """`lessons` without the held-out photos; the last are kept for the recipes that follow."""
    key = json.dumps([held.sha256, seed, recipe["augmentation"], recipe["copies"]])
    if key not in TAUGHT:
        TAUGHT.clear()
        TAUGHT[key] = lessons(held.x, held.accurate(), recipe, seed)
    return TAUGHT[key]
