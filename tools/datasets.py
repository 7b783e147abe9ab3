"""The data sets of the notebooks: which script uses which, and where each is to be had."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import photos.data
import signmnist.data
import speech.data
from speech.archives import ARCHIVES
from toolkit.files import DataError
from tools.photos_sample import write_photos_sample
from tools.sample import write_sample
from tools.speech_sample import write_speech_sample
from tools.unfold import SourceError, imported_packages


class DataSet(NamedTuple):
    """A data set and its package, from which the scripts that use it import.

    title: for people. variable: the environment variable that names its folder. find(): that
    folder, absolute; raises DataError. placed(): whether somebody put data into data/, which the
    sample must not hide. identify(folder): name -> sha256 of the contents; raises DataError for
    damaged data. write_sample(folder): draws the sample.
    """

    package: str
    title: str
    variable: str
    find: Callable
    placed: Callable
    identify: Callable
    write_sample: Callable

    @property
    def canonical_sha256(self):
        """What identify() returns of the real data."""
        return import_module(f"{self.package}.data").CANONICAL_SHA256


def find_sign_mnist():
    """The folder that holds both CSVs, maybe in folders of their own. Raises DataError."""
    return Path(os.path.commonpath([path.absolute().parent for path in signmnist.data.find_csvs()]))


def sign_mnist_placed():
    """Whether data/ holds a CSV or an archive."""
    return any([*Path("data").glob("*.csv"), *Path("data").glob("*.zip")])


def identify_sign_mnist(folder):
    """Name -> `content_sha256` of the CSVs in a folder. Raises DataError."""
    paths = signmnist.data.csvs_below(Path(folder))
    if None in paths:
        raise DataError(f"{folder}: a CSV is missing. {signmnist.data.REMEDY}")
    contents = {path.name: signmnist.data.read_csv(path) for path in paths}
    return {name: signmnist.data.content_sha256(*content) for name, content in contents.items()}


def speech_placed():
    """Whether data/ holds a whole archive; where it holds the set, that is found."""
    return any(Path("data", name).exists() for name in ARCHIVES.values())


DATA_SETS = (
    DataSet(
        package="signmnist",
        title="Sign Language MNIST",
        variable="SIGN_MNIST_DIR",
        find=find_sign_mnist,
        placed=sign_mnist_placed,
        identify=identify_sign_mnist,
        write_sample=write_sample,
    ),
    DataSet(
        package="speech",
        title="Speech Commands",
        variable="SPEECH_COMMANDS_DIR",
        find=lambda: speech.data.find_clips().absolute(),
        placed=speech_placed,
        identify=lambda folder: speech.data.read_clips(folder)[2],
        write_sample=write_speech_sample,
    ),
    DataSet(
        package="photos",
        title=photos.data.SET,
        variable="CATS_AND_DOGS_DIR",
        find=lambda: photos.data.find_photos().absolute(),
        placed=lambda: photos.data.photos_in("data") is not None,
        identify=lambda folder: photos.data.read_photos(folder)[2],
        write_sample=write_photos_sample,
    ),
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
    wanted = os.environ.get(data_set.variable) or data_set.placed()
    try:
        return data_set.find()
    except DataError as error:
        if wanted:
            raise
        print(error)
    print(f"\n*** DRAWN SAMPLE: its figures say nothing about {data_set.title} ***\n")
    data_set.write_sample(folder)
    return folder
