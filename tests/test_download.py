"""Downloads are resumed, and nothing half-fetched takes the name of the whole."""

import pytest
from surroundings import CONTENT, names_below, room_for

from toolkit.download import fetch
from toolkit.files import DataError


def test_a_file_is_downloaded_once(server, tmp_path):
    for _ in range(2):
        path = fetch(f"{server.url}/plain/x", tmp_path / "x")
        assert path == tmp_path / "x" and path.read_bytes() == CONTENT
    assert server.ranges == [None] and names_below(tmp_path) == ["x"]


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    with pytest.raises(DataError, match="/early/x: .*Run it again: it resumes"):
        fetch(f"{server.url}/early/x", tmp_path / "x")
    assert names_below(tmp_path) == ["x.part"]
    assert (tmp_path / "x.part").read_bytes() == CONTENT[:2_000_000]
    fetch(f"{server.url}/plain/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=2000000-"] and names_below(tmp_path) == ["x"]


def test_a_server_that_sends_all_from_the_start_is_understood(server, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT[:1000])
    fetch(f"{server.url}/whole/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("how", ["plain", "silent"])
def test_a_part_that_is_all_of_it_is_taken(server, tmp_path, how):
    (tmp_path / "x.part").write_bytes(CONTENT)
    fetch(f"{server.url}/{how}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT and names_below(tmp_path) == ["x"]


def test_a_part_of_something_longer_is_refused(server, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT + b"more")
    with pytest.raises(DataError, match="x.part is no part of http.*Delete it and run again"):
        fetch(f"{server.url}/plain/x", tmp_path / "x")
    assert names_below(tmp_path) == ["x.part"]


def test_a_file_that_the_server_does_not_have_is_named(server, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match="/absent/x: the server answers 404"):
        fetch(f"{server.url}/absent/x", tmp_path / "x")
    assert (tmp_path / "x.part").read_bytes() == CONTENT[:1000]
    assert names_below(tmp_path) == ["x.part"]


def test_no_server_is_named_and_leaves_nothing(server, tmp_path):
    server.server_close()
    with pytest.raises(DataError, match="/plain/x: no connection .*Run it again: it resumes"):
        fetch(f"{server.url}/plain/x", tmp_path / "x")
    assert names_below(tmp_path) == []


@pytest.mark.usefixtures("capsys")
def test_a_download_that_a_full_disk_stops_goes_on_once_there_is_room(server, tmp_path):
    with room_for(1_500_000), pytest.raises(DataError, match="x.part: cannot be .* Make room"):
        fetch(f"{server.url}/plain/x", tmp_path / "x")
    assert names_below(tmp_path) == ["x.part"]
    fetch(f"{server.url}/plain/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1500000-"]
