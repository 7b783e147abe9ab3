"""The data sets of the notebooks: which script uses which, and where each is to be had."""

import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import photos.data
import photos.sample
import signmnist.data
import signmnist.sample
import speech.data
import speech.sample
from toolkit.files import DataError
from tools.unfold import SourceError, imported_packages


class DataSet(NamedTuple):
    """A data set, from whose package the scripts that use it import.

    title: for people. variable: the environment variable that names its folder. data: a module
    with CANONICAL_SHA256, what identify() returns of the real data, and find(), the folder;
    placed(), whether somebody put data into data/, which the sample must not hide; and
    identify(folder), name -> sha256 of the contents. find and identify raise DataError for what is
    missing or damaged. sample: a module with write_sample(folder), which draws one.
    """

    title: str
    variable: str
    data: ModuleType
    sample: ModuleType

    @property
    def package(self):
        """The name of its package."""
        return self.data.__name__.partition(".")[0]

    @property
    def canonical_sha256(self):
        """What identify() returns of the real data."""
        return self.data.CANONICAL_SHA256

    def find(self):
        """Its folder, absolute. Raises DataError."""
        return Path(self.data.find()).absolute()


DATA_SETS = (
    DataSet("Sign Language MNIST", "SIGN_MNIST_DIR", signmnist.data, signmnist.sample),
    DataSet("Speech Commands", "SPEECH_COMMANDS_DIR", speech.data, speech.sample),
    DataSet(photos.data.SET, "CATS_AND_DOGS_DIR", photos.data, photos.sample),
)


def data_set_of(script):
    """The DataSet from whose package a script imports; Sign Language MNIST if from none.

    Raises SourceError for a script that imports from several.
    """
    packages = imported_packages(script)
    found = [data_set for data_set in DATA_SETS if data_set.package in packages]
    if len(found) > 1:
        raise SourceError(f"{script} imports from {' and '.join(d.package for d in found)}")
    return found[0] if found else DATA_SETS[0]


def data_sets_of(scripts):
    """The DataSets that scripts use, each once."""
    return list(dict.fromkeys(map(data_set_of, scripts)))


def find_data(scripts, folder):
    """The folders of the data sets that scripts use, by package; samples drawn below `folder`.

    A sample is for machines that cannot reach the data set. Where somebody named a folder or
    put data in place and they are not usable, DataError is raised instead.
    """
    return {
        data_set.package: find_or_draw(data_set, Path(folder, data_set.package).absolute())
        for data_set in data_sets_of(scripts)
    }


def find_or_draw(data_set, folder):
    """The folder of a data set, or else `folder` with its sample; raises DataError."""
    wanted = os.environ.get(data_set.variable) or data_set.data.placed()
    try:
        return data_set.find()
    except DataError as error:
        if wanted:
            raise
        print(error)
    print(f"\n*** DRAWN SAMPLE: its figures say nothing about {data_set.title} ***\n")
    data_set.sample.write_sample(folder)
    return folder
