"""Which version answers: new ones, broken ones, labelled ones, and those in use."""

import os
import shutil
import threading

import pytest

from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore


class Loads:
    """Loads folders as text: one with 'broken' in it cannot be."""

    def __init__(self):
        self.loaded = []
        self.mended = False

    def __call__(self, name, number, folder):
        text = (folder / "saved_model.pb").read_text()
        if text == "broken" and not self.mended:
            raise ValueError("broken\nwith many lines")
        self.loaded.append((name, number))
        return f"{name} {number} {text}"


def publish(root, name, number, text="good"):
    folder = root / name / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(text)


def states(store, name):
    return {one["version"]: one["state"] for one in store.status(name)}


@pytest.fixture
def load():
    return Loads()


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
    # As TensorFlow Serving does: only what is served is told of.
    assert states(store, "b") == {"10": "AVAILABLE"}
    with pytest.raises(RequestError, match=r"Specific\(b, 2\)") as caught:
        served(store, "b", number=2)
    assert caught.value.http == 404


def test_a_new_version_takes_over_and_the_old_ends(store, tmp_path, load):
    publish(tmp_path, "b", 1)
    store.refresh()
    publish(tmp_path, "b", 2)
    store.refresh()
    store.refresh()
    assert load.loaded == [("b", 1), ("b", 2)]
    assert served(store, "b") == "b 2 good"
    assert states(store, "b") == {"2": "AVAILABLE", "1": "END"}


def test_a_version_in_use_stays_until_its_requests_end(store, tmp_path):
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


def test_a_broken_version_is_told_of_and_the_last_good_one_stays(store, tmp_path, capsys):
    publish(tmp_path, "b", 1)
    store.refresh()
    publish(tmp_path, "b", 2, "broken")
    store.refresh()
    assert served(store, "b") == "b 1 good"
    told = {one["version"]: one for one in store.status("b")}
    assert told["2"]["state"] == "END"
    assert told["2"]["status"] == {"error_code": "UNKNOWN", "error_message": "broken"}
    assert told["1"]["status"] == {"error_code": "OK", "error_message": ""}
    # Said once, not at each look.
    store.refresh()
    assert capsys.readouterr().err.count("cannot be loaded") == 1
    publish(tmp_path, "b", 2, "mended")
    os.utime(tmp_path / "b" / "2" / "saved_model.pb", (1, 1))
    store.refresh()
    assert served(store, "b") == "b 2 mended"


def test_a_broken_latest_version_falls_back_at_the_start(store, tmp_path):
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
    assert [one["version"] for one in store.status("a", label="stable")] == ["1"]
    for ask in (store.status, lambda name, label: served(store, name, label=label)):
        with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
            ask("a", label="canary")


def test_a_version_that_is_taken_away_is_replaced_by_the_one_before(store, tmp_path):
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
    # With none left the last one goes on.
    assert served(store, "b") == "b 1 good"


@pytest.mark.parametrize("name", ["none", "..", "a/../b", "", "\x00"])
def test_names_are_looked_up_never_joined_into_paths(store, tmp_path, name):
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


def test_the_watch_finds_what_is_published(store, tmp_path):
    found = threading.Event()
    load = store.load

    def told(*arguments):
        servable = load(*arguments)
        found.set()
        return servable

    store.load = told
    store.watch(0.01)
    try:
        publish(tmp_path / "later", "x", 1)
        (tmp_path / "later" / "x").rename(tmp_path / "c")
        assert found.wait(20)
    finally:
        store.close()
    store.refresh()
    assert store.latest() == {"c": 1}


def test_a_labelled_version_that_is_taken_away_is_let_go(tmp_path, load):
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


def test_broken_versions_are_not_tried_again_however_many_there_are(tmp_path):
    tried = []

    def load(name, number, folder):
        tried.append(number)
        raise ValueError("broken")

    store = ModelStore(tmp_path, load=load)
    for number in range(1, 31):
        publish(tmp_path, "a", number)
    store.refresh()
    assert sorted(tried) == list(range(1, 31))
    store.refresh()
    assert len(tried) == 30


def test_a_version_whose_last_file_comes_late_is_tried_again(store, tmp_path, load):
    publish(tmp_path, "b", 1, "broken")
    store.refresh()
    load.mended = True
    store.refresh()
    assert load.loaded == []
    (tmp_path / "b" / "1" / "assets").mkdir()
    (tmp_path / "b" / "1" / "assets" / "words.txt").write_text("a")
    store.refresh()
    assert load.loaded == [("b", 1)]


def test_a_folder_is_read_as_a_number(store, tmp_path):
    publish(tmp_path, "b", 2)
    (tmp_path / "b" / "2").rename(tmp_path / "b" / "00000123")
    store.refresh()
    assert served(store, "b", number=123) == "b 123 good"
    publish(tmp_path, "b", 7)
    store.refresh()
    assert store.latest() == {"b": 123}


def test_labels_of_what_is_not_served_are_told(tmp_path, load):
    store = ModelStore(tmp_path, {"a": {"new": 3, "old": 1}, "none": {"x": 1}}, load)
    publish(tmp_path, "a", 1)
    store.refresh()
    assert store.missing_labels() == [
        "new is version 3 of a, which is not served",
        "x is version 1 of none, which is not served",
    ]


def test_a_reader_that_has_gone_does_not_end_the_watch(store, tmp_path, monkeypatch):
    def gone(*args, **kwargs):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", gone)
    publish(tmp_path, "b", 1)
    publish(tmp_path, "b", 2, "broken")
    store.watch(60.0)
    store.refresh()
    store.close()
    assert store.latest() == {"b": 1}
