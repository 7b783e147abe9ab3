import threading

import pytest
from surroundings import Server

from photos.data import load_cats_and_dogs
from photos.sample import write_sample as write_photos_sample
from signmnist.data import load_sign_mnist
from signmnist.sample import write_sample
from speech.data import load_speech_commands
from speech.sample import write_sample as write_speech_sample
from toolkit.files import DataError


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def sample(sample_folder):
    """The drawn sample as a SignMnist."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGN_MNIST_DIR", str(sample_folder))
        return load_sign_mnist()


def real_or_skipped(load, download):
    """What `load` returns of the real data; skips the test where they are absent.

    download: the name of the function that would fetch them.
    """

    def unreachable(folder):
        raise DataError("tests download nothing.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, unreachable)
        try:
            data = load()
        except DataError as error:
            pytest.skip(f"needs the real data: {error}")
    if not data.canonical:
        pytest.skip("needs the real data, and these are not canonical")
    return data


@pytest.fixture(scope="session")
def real():
    """Sign Language MNIST itself; tests that need it are skipped where it is absent."""
    return real_or_skipped(load_sign_mnist, "signmnist.data.download")


@pytest.fixture(scope="session")
def speech_sample_folder(tmp_path_factory):
    return write_speech_sample(tmp_path_factory.mktemp("speech_sample"))


@pytest.fixture(scope="session")
def speech_sample(speech_sample_folder):
    """The drawn sample of speech as a SpeechCommands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH_COMMANDS_DIR", str(speech_sample_folder))
        return load_speech_commands()


@pytest.fixture(scope="session")
def real_speech():
    """Speech Commands itself; tests that need it are skipped where it is absent."""
    return real_or_skipped(load_speech_commands, "speech.data.download")


@pytest.fixture(scope="session")
def photos_sample_folder(tmp_path_factory):
    return write_photos_sample(tmp_path_factory.mktemp("photos_sample"))


@pytest.fixture(scope="session")
def photos_sample(photos_sample_folder):
    """The drawn sample of photos as a CatsAndDogs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATS_AND_DOGS_DIR", str(photos_sample_folder))
        return load_cats_and_dogs()


@pytest.fixture(scope="session")
def real_photos():
    """cats_and_dogs_filtered itself; tests that need it are skipped where it is absent."""
    return real_or_skipped(load_cats_and_dogs, "photos.data.download")


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def pytest_collection_modifyitems(items):
    """The two longest files first, so that both processes are busy to the end."""
    items.sort(key=lambda item: item.path.stem not in ("test_suite", "test_studies"))
