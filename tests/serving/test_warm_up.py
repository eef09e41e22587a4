"""A new version is warmed with the requests that are kept with it before it is served."""

import json
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export import Signature, reference_outputs, warmup_requests
from dlrecipes.export.version import EXTRAS, WARMUP_FILE
from dlrecipes.serving import servable, warm_up
from dlrecipes.serving.store import ModelStore


@pytest.fixture
def version(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "models" / "half" / "1")
    (folder / EXTRAS).mkdir()
    return folder


@pytest.fixture
def runs(monkeypatch):
    """The signatures that are run, with their inputs and the state of the version meanwhile."""
    recorded = []
    run = servable.Signature.run

    def recording(signature, arrays):
        recorded.append((signature.name, {name: x.tolist() for name, x in arrays.items()}))
        return run(signature, arrays)

    monkeypatch.setattr(servable.Signature, "run", recording)
    return recorded


def predict_log(signature, **inputs):
    log = warmup_requests._message("PredictionLog")()
    log.predict_log.request.model_spec.signature_name = signature
    for name, value in inputs.items():
        content = tf.make_tensor_proto(value).SerializeToString()
        log.predict_log.request.inputs.add(key=name, value=content)
    return log.SerializeToString()


def classify_log(signature, x):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    log = warmup_requests._message("PredictionLog")()
    log.classify_log.request.model_spec.signature_name = signature
    log.classify_log.request.input.example_list.examples.append(example.SerializeToString())
    return log.SerializeToString()


def write(version, *records):
    with tf.io.TFRecordWriter(str(version / EXTRAS / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record)


def serve(version, capsys):
    """Returns whether the version is served, and the notes."""
    store = ModelStore(version.parents[1])
    store.refresh()
    return store.latest() == {"half": 1}, capsys.readouterr().err


def test_requests_of_the_file_run_before_the_version_is_served(version, runs, monkeypatch):
    write(version, predict_log("", x=np.float32([1, 2])), classify_log("classify_x", 3.0))
    store = ModelStore(version.parents[1])
    states = []
    run = warm_up._run

    def recording(*arguments):
        states.append(store.status("half")[0]["state"])
        run(*arguments)

    monkeypatch.setattr(warm_up, "_run", recording)
    store.refresh()
    assert states == ["LOADING", "LOADING"]
    assert store.status("half")[0]["state"] == "AVAILABLE"
    assert runs[0] == ("serving_default", {"x": [1.0, 2.0]})
    assert runs[1][0] == "classify_x"


def test_examples_are_run_if_there_is_no_file_of_requests(version, runs, capsys):
    signature = Signature(
        lambda x: {"y": x}, [tf.TensorSpec([None], name="x")], [(np.float32([4, 5]),)]
    )
    references = reference_outputs.record(signature, signature.function)
    text = json.dumps({"signatures": {"serving_default": references}, "litert": []})
    (version / EXTRAS / "examples.json").write_text(text)
    assert serve(version, capsys) == (True, "")
    assert runs == [("serving_default", {"x": [4.0, 5.0]})]


def test_examples_of_any_size_are_not_read(version, runs, capsys):
    with (version / EXTRAS / "examples.json").open("w") as file:
        file.truncate(2**40)  # It takes no space.
    served, notes = serve(version, capsys)
    assert served
    assert "examples.json is larger than 64 MiB" in notes


def test_a_version_without_requests_is_served_as_it_is(version, runs, capsys):
    assert serve(version, capsys) == (True, "")
    assert runs == []


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (predict_log("", x=np.float32([5000])), "too large"),
        (predict_log("none", x=np.float32([1])), '"none" not found'),
        (predict_log("", z=np.float32([1])), "Sent extra: {z}. Missing but required: {x}."),
        (predict_log("", x=np.float32([[1]])), "input x must have shape (any), not (1, 1)"),
    ],
)
def test_a_failed_request_is_noted_and_the_others_run(version, runs, capsys, record, problem):
    write(version, record, predict_log("two", a=np.int32([[1, 2]]), text=["x"]))
    served, notes = serve(version, capsys)
    assert served
    (note,) = notes.splitlines()
    assert note.startswith(f"Note: {version} is served, but its warm-up failed: ")
    assert problem in note
    assert runs[-1] == ("two", {"a": [[1, 2]], "text": [b"x"]})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (WARMUP_FILE, b"not records at all", "corrupted record at 0"),
        ("examples.json", b"{", "Expecting property name"),
        ("examples.json", b'{"signatures": {"serving_default": [{"inputs": {"x": "?:"}}]}}', ""),
    ],
)
def test_a_damaged_file_is_noted_and_the_version_is_served(version, capsys, name, content, problem):
    (version / EXTRAS / name).write_bytes(content)
    served, notes = serve(version, capsys)
    assert served
    assert "its warm-up failed" in notes
    assert problem in notes


def test_the_number_of_requests_is_limited(version, runs, capsys, monkeypatch):
    write(version, *[predict_log("", x=np.float32([1]))] * 5)
    monkeypatch.setattr(warm_up, "MAX_REQUESTS", 2)
    served, notes = serve(version, capsys)
    assert served
    assert "there are more than 2 requests" in notes
    assert len(runs) == 2


def test_a_request_that_does_not_end_does_not_keep_the_version_from_being_served(
    version, capsys, monkeypatch
):
    ending, finished, started = threading.Event(), threading.Event(), []

    def wait(*arguments):
        started.append(arguments)
        ending.wait(30)
        finished.set()

    monkeypatch.setattr(warm_up, "_requests", lambda folder: range(5))
    monkeypatch.setattr(warm_up, "_run", wait)
    monkeypatch.setattr(warm_up, "MAX_SECONDS", 0.5)
    served, notes = serve(version, capsys)
    ending.set()
    assert served
    assert "it took more than 0.5 s" in notes
    # The run that was in progress is the last one.
    assert finished.wait(30)
    assert len(started) == 1
