"""The page at `/` lists the models with a command that works for each; probes have addresses."""

import itertools
import json
import re
import shutil
import socket
import subprocess
import threading

import numpy as np
import pytest
import tensorflow as tf
from starlette.testclient import TestClient

from dlrecipes.export.reference_outputs import record
from dlrecipes.export.signatures import Signature
from dlrecipes.serving.model_list import _text
from dlrecipes.serving.model_page import Description, describe, page
from dlrecipes.serving.security import Access
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.store import ModelStore

# A text that a shell must not change.
TEXT = 'it\'s 明月 $HOME `x` \\ "y"'


def write(folder, function, *specs, name="serving_default", examples=None):
    module = tf.Module()
    module.f = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(folder), signatures={name: module.f})
    if examples is not None:
        values = [tf.constant(examples[entry.name]).numpy() for entry in specs]
        references = record(Signature(function, list(specs), [tuple(values)]), module.f)
        stored = {"signatures": {name: references}}
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "examples.json").write_text(json.dumps(stored))


def spec(dtype, *shape, name):
    return tf.TensorSpec(list(shape), dtype, name=name)


def size_of(image_bytes):
    decode = lambda content: tf.shape(tf.io.decode_png(content, 1))[:1]  # noqa: E731
    return {"height": tf.map_fn(decode, image_bytes, fn_output_signature=tf.int32)}


def only_42(x):
    """Accepts a number that nobody can guess."""
    with tf.control_dependencies([tf.debugging.assert_equal(x, 42)]):
        return {"y": tf.identity(x)}


@pytest.fixture(scope="module")
def models(saved, tmp_path_factory):
    """Models whose inputs are hard to guess or hard to write in a shell."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(saved, root / "half" / "1")
    text = spec(tf.string, None, name="text")
    write(
        root / "quotes" / "2",
        lambda text: {"length": tf.strings.length(text)},
        text,
        # Only the first row is sent.
        examples={"text": [TEXT, "second"]},
    )
    write(root / "image files" / "1", size_of, spec(tf.string, None, name="image_bytes"))
    write(
        root / "large" / "1",
        lambda x: {"mean": tf.reduce_mean(x, axis=[1, 2])},
        spec(tf.float32, None, 28, 28, name="x"),
        examples={"x": np.full((3, 28, 28), 0.1, "float32")},
    )
    write(
        root / "named" / "1",
        lambda a, b: {"sum": tf.reduce_sum(a) + tf.cast(b, tf.int64)},
        spec(tf.int64, None, 2, name="a"),
        spec(tf.uint8, name="b"),
        name="two inputs",
    )
    write(
        root / "generated" / "1",
        lambda count: {"images": tf.ones([count[0], 2])},
        spec(tf.int32, 1, name="count"),
    )
    write(root / "damaged" / "1", lambda x: {"y": 2 * x}, spec(tf.float32, 3, name="x"))
    (root / "damaged" / "1" / "assets.extra").mkdir()
    (root / "damaged" / "1" / "assets.extra" / "examples.json").write_text('{"signatures": [')
    write(
        root / "picky" / "1",
        only_42,
        spec(tf.int32, name="x"),
    )
    return root


@pytest.fixture(scope="module")
def served(models, start_server):
    server = start_server(models)
    try:
        yield server
    finally:
        server.kill()


# Outputs of the models for their examples, or for zeros, and integers of one.
ANSWERS = {
    "half": [2.0],
    "quotes": [len(TEXT.encode())],
    "image files": [[32]],
    "large": [0.1],
    "named": 3,
    "generated": [[1.0, 1.0]],
    "damaged": [0.0, 0.0, 0.0],
}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_of_each_model_works(served):
    listed = json.loads(fetch(served, "application/json")[1])["models"]
    assert [entry["name"] for entry in listed] == sorted([*ANSWERS, "picky"])
    for entry in listed:
        run = subprocess.run(entry["curl"], shell=True, capture_output=True, text=True, timeout=60)
        answer = json.loads(run.stdout)
        if entry["name"] == "picky":
            assert answer["metadata"]["signature_def"]
        else:
            expected = ANSWERS[entry["name"]]
            np.testing.assert_allclose(answer["outputs"], expected, err_msg=entry["curl"])


def fetch(server, accept):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        head = f"GET / HTTP/1.0\r\nHost: localhost:{server.port}\r\nAccept: {accept}\r\n\r\n"
        client.sendall(head.encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


def test_the_list_is_html_for_browsers_and_text_otherwise(served):
    head, page = fetch(served, "text/html,application/xhtml+xml,*/*;q=0.8")
    assert "content-type: text/html" in head
    assert "<h2>half, version 1</h2>" in page
    assert "curl -d &#x27;" in page
    head, text = fetch(served, "*/*")
    assert "content-type: text/plain" in head
    assert "quotes, version 2\n  curl -d '{" in text


def test_a_name_with_a_line_break_is_one_line_of_the_list():
    entry = {"name": "two\nlines\x1b[31m", "version": "1", "curl": "curl ..."}
    first, _ = _text([entry]).splitlines()
    assert first == r"two\nlines\x1b[31m, version 1"


def test_the_page_shows_signatures_and_loads_nothing(served):
    head, page = fetch(served, "text/html")
    assert "<td>two inputs</td><td>a: int64 (any, 2), b: uint8 ()</td><td>sum</td>" in page
    assert "default-src 'none'" in head.partition("content-security-policy: ")[2]
    assert not re.search("<script|<link|<img|src=|@import|url\\(", page)


def test_the_page_says_which_data_a_model_was_trained_on(half, tmp_path):
    folder = shutil.copytree(half / "half" / "1", tmp_path / "half" / "1")
    (folder / "assets.extra").mkdir(exist_ok=True)
    metrics = {
        "recipe": "slots",
        "data": "<b>mine</b>",
        "date": "2026-05-01",
        "objective": "f1",
        "test": {"f1": 0.5},
    }
    (folder / "assets.extra" / "metrics.json").write_text(json.dumps(metrics))
    store = ModelStore(tmp_path)
    store.refresh()
    assert describe(store, "half").versions == [1]
    assert describe(store, "none") == Description()
    text = page([{"name": "<i>", "version": "1", "curl": "'&"}], [describe(store, "half")])
    assert "trained on &lt;b&gt;mine&lt;/b&gt;, 2026-05-01, test f1 0.5000" in text
    assert "<i>" not in text
    store.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_start_prints_commands_that_work(served):
    lines = iter(served.process.stdout.readline, "")
    assert "Try:\n" in lines
    *commands, last = itertools.takewhile(bool, itertools.islice(lines, 6))
    assert last == f"All models are listed at {served.url}/\n"
    assert len(commands) == 5
    (command,) = [command for command in commands if "/models/half:predict" in command]
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == {"outputs": ANSWERS["half"]}


@pytest.mark.parametrize("host", ["<script>", "a'b", "$(reboot)", "a b"])
def test_a_host_that_is_not_a_name_is_not_repeated(half, host):
    store = ModelStore(half)
    store.refresh()
    with TestClient(application(Settings(half, log=False), store)) as client:
        for accept in ("text/html", "application/json", "*/*"):
            page = client.get("/", headers={"Host": host, "Accept": accept}).text
            assert host not in page
            assert "/v1/models/half:predict" in page


def test_the_command_names_the_key_and_an_empty_list_says_so(half, tmp_path):
    store = ModelStore(half)
    store.refresh()
    settings = Settings(half, log=False, access=Access(key="secret"))
    with TestClient(application(settings, store)) as client:
        text = client.get("/", headers={"Authorization": "Bearer secret"}).text
    assert 'curl -H "Authorization: Bearer $API_KEY" -d' in text
    assert "secret" not in text
    empty = Settings(tmp_path, log=False)
    with TestClient(application(empty, ModelStore(tmp_path))) as client:
        assert client.get("/").text == "No models are served yet.\n"
        assert client.get("/examples/none").status_code == 404


def test_probes_report_life_and_readiness(half, tmp_path):
    stopping = threading.Event()
    store = ModelStore(half)
    with TestClient(application(Settings(half, log=False), store, stopping)) as client:
        assert client.get("/healthz").status_code == 200
        missing = client.get("/readyz")
        assert (missing.status_code, missing.json()) == (503, {"status": "no model is served"})
        store.refresh()
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
        stopping.set()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_probes_are_neither_logged_nor_counted(half, capsys):
    with TestClient(application(Settings(half), ModelStore(half))) as client:
        client.get("/healthz")
        client.head("/readyz")
        assert "request_count{" not in client.get("/monitoring/prometheus/metrics").text
    assert capsys.readouterr().err == ""
