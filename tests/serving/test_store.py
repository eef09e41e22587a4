"""Which version answers requests: new, broken, labelled and used versions."""

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from dlrecipes.serving import server
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore


class Loader:
    """Loads a version as text, and fails if the file contains 'broken'."""

    def __init__(self):
        self.loaded = []
        self.repaired = False

    def __call__(self, name, number, folder):
        text = (folder / "saved_model.pb").read_text()
        if text == "broken" and not self.repaired:
            raise ValueError("broken\nwith many lines")
        self.loaded.append((name, number))
        return f"{name} {number} {text}"


def publish(root, name, number, text="good"):
    folder = root / name / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(text)


def states(store, name):
    return {version["version"]: version["state"] for version in store.status(name)}


@pytest.fixture
def load():
    return Loader()


@pytest.fixture
def store(tmp_path, load):
    return ModelStore(tmp_path, {"a": {"stable": 1}}, load)


def served(store, name, **which):
    with store.using(name, **which) as servable:
        return servable


def test_the_latest_version_answers(store, tmp_path):
    publish(tmp_path, "b", 2)
    publish(tmp_path, "b", 10)
    (tmp_path / "b" / "notes").mkdir()
    (tmp_path / "b" / ".publishing-1").mkdir()
    store.refresh()
    assert served(store, "b") == "b 10 good"
    assert served(store, "b", number=10) == "b 10 good"
    # As in TensorFlow Serving, only served versions are listed.
    assert states(store, "b") == {"10": "AVAILABLE"}
    with pytest.raises(RequestError, match=r"Specific\(b, 2\)") as caught:
        served(store, "b", number=2)
    assert caught.value.http == 404


def test_a_new_version_replaces_the_old_one(store, tmp_path, load):
    publish(tmp_path, "b", 1)
    store.refresh()
    publish(tmp_path, "b", 2)
    store.refresh()
    store.refresh()
    assert load.loaded == [("b", 1), ("b", 2)]
    assert served(store, "b") == "b 2 good"
    assert states(store, "b") == {"2": "AVAILABLE", "1": "END"}


def test_a_version_in_use_stays_until_its_requests_finish(store, tmp_path):
    publish(tmp_path, "b", 1)
    store.refresh()
    with store.using("b") as old:
        publish(tmp_path, "b", 2)
        store.refresh()
        assert old == "b 1 good"
        assert states(store, "b") == {"2": "AVAILABLE", "1": "UNLOADING"}
        assert served(store, "b") == "b 2 good"
    assert states(store, "b")["1"] == "END"
    assert store.models["b"].versions[1].servable is None


def test_a_broken_version_is_reported_and_the_last_working_one_stays(store, tmp_path, capsys):
    publish(tmp_path, "b", 1)
    store.refresh()
    publish(tmp_path, "b", 2, "broken")
    store.refresh()
    assert served(store, "b") == "b 1 good"
    versions = {version["version"]: version for version in store.status("b")}
    assert versions["2"]["state"] == "END"
    assert versions["2"]["status"] == {"error_code": "UNKNOWN", "error_message": "broken"}
    assert versions["1"]["status"] == {"error_code": "OK", "error_message": ""}
    # The note is printed once, not on each refresh.
    store.refresh()
    assert capsys.readouterr().err.count("cannot be loaded") == 1
    publish(tmp_path, "b", 2, "repaired")
    os.utime(tmp_path / "b" / "2" / "saved_model.pb", (1, 1))
    store.refresh()
    assert served(store, "b") == "b 2 repaired"


def test_an_earlier_version_is_served_if_the_latest_is_broken(store, tmp_path):
    publish(tmp_path, "b", 1)
    publish(tmp_path, "b", 2, "broken")
    store.refresh()
    assert served(store, "b") == "b 1 good"


def test_a_labelled_version_stays(store, tmp_path):
    publish(tmp_path, "a", 1)
    store.refresh()
    publish(tmp_path, "a", 2)
    store.refresh()
    assert served(store, "a", label="stable") == "a 1 good"
    assert served(store, "a") == "a 2 good"
    assert [version["version"] for version in store.status("a", label="stable")] == ["1"]
    for ask in (store.status, lambda name, label: served(store, name, label=label)):
        with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
            ask("a", label="canary")


def test_a_deleted_version_is_replaced_by_the_previous_one(store, tmp_path):
    publish(tmp_path, "b", 1)
    publish(tmp_path, "b", 2)
    store.refresh()
    (tmp_path / "b" / "2" / "saved_model.pb").unlink()
    (tmp_path / "b" / "2").rmdir()
    store.refresh()
    assert served(store, "b") == "b 1 good"
    (tmp_path / "b" / "1" / "saved_model.pb").unlink()
    (tmp_path / "b" / "1").rmdir()
    store.refresh()
    # The last version stays loaded when its folder is deleted.
    assert served(store, "b") == "b 1 good"


@pytest.mark.parametrize("name", ["none", "..", "a/../b", "", "\x00"])
def test_names_are_never_used_as_paths(store, tmp_path, name):
    publish(tmp_path, "b", 1)
    store.refresh()
    with pytest.raises(RequestError, match="Servable not found") as caught:
        served(store, name)
    assert caught.value.http == 404
    with pytest.raises(RequestError, match="Could not find any versions of model"):
        store.status(name)


def test_a_missing_folder_has_no_models(tmp_path, load):
    store = ModelStore(tmp_path / "none", load=load)
    store.refresh()
    assert store.latest() == {}


def test_watching_detects_new_models(store, tmp_path):
    loaded = threading.Event()
    load = store.load

    def load_and_signal(*arguments):
        servable = load(*arguments)
        loaded.set()
        return servable

    store.load = load_and_signal
    store.watch(0.01)
    try:
        publish(tmp_path / "later", "x", 1)
        (tmp_path / "later" / "x").rename(tmp_path / "c")
        assert loaded.wait(20)
    finally:
        store.close()
    store.refresh()
    assert store.latest() == {"c": 1}


def test_a_deleted_version_with_a_label_is_unloaded(tmp_path, load):
    store = ModelStore(tmp_path, {"a": {"new": 3}}, load)
    publish(tmp_path, "a", 1)
    publish(tmp_path, "a", 3)
    store.refresh()
    assert served(store, "a") == served(store, "a", label="new") == "a 3 good"
    shutil.rmtree(tmp_path / "a" / "3")
    store.refresh()
    assert served(store, "a") == "a 1 good"
    with pytest.raises(RequestError, match="not found"):
        served(store, "a", label="new")


def test_broken_versions_are_not_loaded_again(tmp_path):
    attempts = []

    def load(name, number, folder):
        attempts.append(number)
        raise ValueError("broken")

    store = ModelStore(tmp_path, load=load)
    for number in range(1, 31):
        publish(tmp_path, "a", number)
    store.refresh()
    assert sorted(attempts) == list(range(1, 31))
    store.refresh()
    assert len(attempts) == 30


def test_a_broken_version_is_loaded_again_when_a_file_is_added(store, tmp_path, load):
    publish(tmp_path, "b", 1, "broken")
    store.refresh()
    load.repaired = True
    store.refresh()
    assert load.loaded == []
    (tmp_path / "b" / "1" / "assets").mkdir()
    (tmp_path / "b" / "1" / "assets" / "words.txt").write_text("a")
    store.refresh()
    assert load.loaded == [("b", 1)]


def test_folder_names_are_read_as_numbers(store, tmp_path):
    publish(tmp_path, "b", 2)
    (tmp_path / "b" / "2").rename(tmp_path / "b" / "00000123")
    store.refresh()
    assert served(store, "b", number=123) == "b 123 good"
    publish(tmp_path, "b", 7)
    store.refresh()
    assert store.latest() == {"b": 123}


def test_labels_of_missing_versions_are_reported(tmp_path, load):
    store = ModelStore(tmp_path, {"a": {"new": 3, "old": 1}, "none": {"x": 1}}, load)
    publish(tmp_path, "a", 1)
    store.refresh()
    assert store.missing_labels() == [
        "new is version 3 of a, which is not served",
        "x is version 1 of none, which is not served",
    ]


def test_a_closed_stderr_does_not_stop_the_watch(store, tmp_path, monkeypatch):
    class ClosedStream:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", ClosedStream())
    publish(tmp_path, "b", 1)
    publish(tmp_path, "b", 2, "broken")
    store.watch(60.0)
    store.refresh()
    store.close()
    assert store.latest() == {"b": 1}


def test_hidden_folders_are_never_served(store, tmp_path, capsys):
    publish(tmp_path, ".hidden", 1)
    publish(tmp_path, "b", ".2")
    publish(tmp_path, "b", 1)
    store.refresh()
    store.refresh()
    assert store.latest() == {"b": 1}
    notes = capsys.readouterr().err.splitlines()
    assert notes == [f"Note: {tmp_path}/.hidden is not served: its name begins with a dot"]


def test_version_numbers_are_signed_integers_of_64_bits(store, tmp_path, capsys):
    largest = 2**63 - 1
    publish(tmp_path, "b", largest)
    for name in (largest + 1, "9" * 200, "-1", "+2", " 3", "1_0", "٣", "1.0", "0x10"):
        publish(tmp_path, "b", name)
    publish(tmp_path, "c", "0" * 50 + "7")
    store.refresh()
    store.refresh()
    assert store.latest() == {"b": largest, "c": 7}
    notes = capsys.readouterr().err.splitlines()
    assert notes == [
        f"Note: {tmp_path}/b/{name} is not served: the number does not fit into 64 bits"
        for name in (largest + 1, "9" * 200)
    ]


def test_notes_are_one_line_each_even_with_line_breaks_in_names(store, tmp_path, capsys):
    publish(tmp_path, "two\nlines\x1b[31m\u2028", 1, "broken")
    store.refresh()
    (line,) = capsys.readouterr().err.splitlines()
    assert "two\\nlines\\x1b[31m\\u2028/1 cannot be loaded" in line


def test_a_name_with_a_colon_is_not_served(store, tmp_path, capsys):
    publish(tmp_path, "a:b", 1)
    store.refresh()
    assert store.latest() == {}
    assert "a:b is not served: its name has a colon" in capsys.readouterr().err


def test_the_list_of_models_has_one_line_each_even_with_line_breaks_in_names(
    store, tmp_path, capsys
):
    publish(tmp_path, "two\nlines", 1)
    store.refresh()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server._print_start(server.Settings(tmp_path), listening, store)
    _, line = capsys.readouterr().out.splitlines()
    assert line == r"  two\nlines, version 1"


def test_a_name_that_is_not_utf8_is_not_served(store, tmp_path, capsys):
    publish(tmp_path, os.fsdecode(b"caf\xe9"), 1)
    publish(tmp_path, "café", 1)
    store.refresh()
    assert store.latest() == {"café": 1}
    assert "caf\\udce9 is not served: its name is not UTF-8" in capsys.readouterr().err


def test_an_unreadable_folder_is_noted_once_and_hides_no_other(
    store, tmp_path, capsys, monkeypatch
):
    for name in ("a", "b", "c"):
        publish(tmp_path, name, 1)
    (tmp_path / "link").symlink_to(tmp_path / "c")
    refused, is_dir, listdir, scandir = "Permission denied", Path.is_dir, os.listdir, os.scandir

    def refuse(path, function):
        if Path(path) in (tmp_path / "b", tmp_path / "link"):
            raise PermissionError(13, refused, str(path))
        return function(path)

    # The root user may read every folder, so the refusals are simulated.
    monkeypatch.setattr("os.listdir", lambda path: refuse(path, listdir))
    monkeypatch.setattr("os.scandir", lambda path: refuse(path, scandir))
    monkeypatch.setattr(
        Path, "is_dir", lambda path: is_dir(path) if path.name != "link" else refuse(path, is_dir)
    )
    store.refresh()
    store.refresh()
    assert store.latest() == {"a": 1, "c": 1}
    assert capsys.readouterr().err == f"Note: {tmp_path / 'b'} cannot be read: {refused}\n"
