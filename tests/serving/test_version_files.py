"""Versions with files that are not regular are refused before anything opens them."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from dlrecipes.serving.servable import Servable
from dlrecipes.serving.store import ModelStore
from dlrecipes.serving.version_files import SAVED_MODEL_FILE, check_files, stamp


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "models" / "m" / "1"
    for name in ("variables", "assets/words", "assets.extra"):
        (folder / name).mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    (folder / "variables" / "variables.index").write_bytes(b"")
    return folder


def make_socket(path):
    # The path of a socket has at most 108 characters.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = {
    "a named pipe": os.mkfifo,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize(
    "name",
    [
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "assets/words/cities.txt",
        "assets.extra/tf_serving_warmup_requests",
    ],
)
def test_special_files_are_refused(version, name, kind):
    path = version / name
    path.unlink(missing_ok=True)
    SPECIAL[kind](path)
    with pytest.raises(ValueError, match=f"^{name} is {kind}, not a regular file$"):
        check_files(version)


def test_links_to_special_files_and_to_their_folders_are_refused(version, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    os.mkfifo(outside / "pipe")
    link = version / "assets" / "link"
    link.symlink_to(outside / "pipe")
    with pytest.raises(ValueError, match="assets/link is a named pipe"):
        check_files(version)
    link.unlink()
    link.symlink_to(outside)
    with pytest.raises(ValueError, match="assets/link/pipe is a named pipe"):
        check_files(version)


def test_links_in_a_circle_end(version):
    (version / "assets" / "again").symlink_to(version / "assets")
    check_files(version)
    assert len(stamp(version)) == 2


def test_a_change_behind_a_link_is_seen(version, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (version / "variables" / "variables.index").rename(shared / "variables.index")
    (version / "variables").rmdir()
    (version / "variables").symlink_to(shared)
    before = stamp(version)
    (shared / "variables.index").write_bytes(b"more")
    assert stamp(version) != before


@pytest.mark.parametrize(
    ("make", "reason"), [(os.mkdir, "a folder, not a file"), (None, "missing")]
)
def test_a_version_without_a_saved_model_gives_the_reason(version, make, reason):
    (version / "saved_model.pb").unlink()
    if make:
        make(version / "saved_model.pb")
    with pytest.raises(ValueError, match=f"saved_model.pb is {reason}"):
        check_files(version)


def test_a_saved_model_of_more_than_2_gib_is_not_read(version):
    with (version / SAVED_MODEL_FILE).open("r+b") as file:
        file.truncate(2**40)  # It takes no space.
    with pytest.raises(ValueError, match="larger than 2 GiB"):
        check_files(version)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_a_named_pipe_does_not_hang_the_start(half, tmp_path, capsys, name):
    """Nobody writes to the pipe, so that opening it would wait for ever."""
    models = shutil.copytree(half, tmp_path / "models")
    shutil.copytree(models / "half" / "1", models / "half" / "2")
    (models / "half" / "2" / name).unlink()
    os.mkfifo(models / "half" / "2" / name)
    store = ModelStore(models, load=Servable)
    store.refresh()
    assert store.latest() == {"half": 1}
    assert f"half/2 cannot be loaded and is not served: {name} is a named pipe" in (
        capsys.readouterr().err
    )
