"""Small SavedModels to serve, and one server process that several tests share."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import tensorflow as tf
from rest_client import LIMITS


class HalfPlusTwo(tf.Module):
    """TensorFlow Serving's own example, x / 2 + a constant, with further kinds of signatures."""

    def __init__(self, constant=2.0):
        super().__init__()
        self.constant = tf.Variable(constant)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half(self, x):
        tf.debugging.assert_less(x, 1000.0, message="too large")
        return {"y": x / 2 + self.constant}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.int32, name="a"),
            tf.TensorSpec([None], tf.string, name="text"),
        ]
    )
    def two(self, a, text):
        return {"sum": tf.reduce_sum(a, axis=1), "text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def column(self, x):
        return {"y": x / 2 + self.constant}

    @tf.function(input_signature=[])
    def known(self):
        return {"constant": self.constant + 0.0}

    @tf.function(input_signature=[])
    def greeting(self):
        text = tf.constant("你好")
        return {"text": text, "text_bytes": tf.identity(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def upper(self, text):
        return {"upper": tf.strings.upper(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def parsed(self, examples):
        spec = {"x": tf.io.FixedLenFeature([], tf.float32)}
        x = tf.io.parse_example(examples, spec)["x"]
        classes = tf.tile([["small", "large"]], [tf.shape(x)[0], 1])
        return {
            "outputs": x / 2 + self.constant,
            "classes": classes,
            "scores": tf.stack([-x, x], axis=1),
        }


def save(folder, constant=2.0):
    model = HalfPlusTwo(constant)
    tf.saved_model.save(
        model,
        str(folder),
        signatures={
            "serving_default": model.half,
            "two": model.two,
            "scalar": model.scalar,
            "column": model.column,
            "known": model.known,
            "classify_x": model.parsed,
            "regress_x": model.parsed,
            "parsed_x": model.parsed,
            "greeting": model.greeting,
            "upper": model.upper,
        },
    )
    _rename_methods(folder)
    return folder


def _rename_methods(folder):
    # TensorFlow 2 writes only the method 'predict'; models of TensorFlow 1 have the others.
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(path.read_bytes())
    for name in ("classify", "regress"):
        signature = model.meta_graphs[0].signature_def[f"{name}_x"]
        signature.method_name = f"tensorflow/serving/{name}"
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """The folder of a saved version. Copy it; do not write there."""
    return save(tmp_path_factory.mktemp("saved") / "half")


@pytest.fixture(scope="session")
def half(saved, tmp_path_factory):
    """A folder of models with version 1 of `half`. Do not write there."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(saved, root / "half" / "1")
    return root


@pytest.fixture(scope="session")
def save_model():
    """Saves a version to a folder, with another constant."""
    return save


class Server:
    """`dlrecipes serve` as a process, on free ports.

    Args:
        models: Folder of models.
        log: File that standard error is written to.
        *options: Further options of the command.
    """

    def __init__(self, models, log, *options):
        self.models, self.log = models, log
        command = [sys.executable, "-m", "dlrecipes", "serve", "--models", str(models)]
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [*command, "--port", "0", "--poll-seconds", "0.1", *options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        line = self.process.stdout.readline()
        assert line.startswith("Serving"), line + log.read_text()
        self.url = line.split(" at ")[1].split("/v1")[0]
        self.port = int(self.url.rsplit(":", 1)[1])

    def grpc_address(self):
        """Returns the address of the gRPC services; call it once."""
        lines = iter(self.process.stdout.readline, "")
        return next(line for line in lines if line.startswith("gRPC at")).split()[-1]

    def ask(self, path, body=None):
        """Returns status and JSON of the response to a request."""
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", data, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def logged(self):
        """Returns the requests in the log so far."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "\n"]

    def stop(self, number):
        """Sends a signal, and checks that the server ends without an error."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        log = self.log.read_text()
        assert self.process.returncode == 0, log
        assert "Traceback" not in log
        assert log.rstrip().endswith("Stopped.")

    def kill(self):
        """Ends the process if it has not ended."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Starts a server of the test's own; the caller kills it."""
    return lambda models, *options: Server(
        models, tmp_path_factory.mktemp("server") / "stderr.txt", *options
    )


@pytest.fixture(scope="session")
def server(half, start_server, tmp_path_factory):
    """A server with `half`, over gRPC as well if it is installed, which Ctrl-C stops at the end.

    Tests may publish models of other names in its folder.
    """
    models = shutil.copytree(half, tmp_path_factory.mktemp("served") / "models")
    options = ["--label", "half:stable=1", "--max-rows", "20"]
    if importlib.util.find_spec("tensorflow_serving") is not None:
        options += ["--grpc-port", "0"]
    server = start_server(models, *options)
    try:
        yield server
        server.stop(signal.SIGINT)
    finally:
        server.kill()


@pytest.fixture(scope="module")
def client(saved, tmp_path_factory):
    """A client of the REST API of a small model with two versions, in this process."""
    from starlette.testclient import TestClient

    from dlrecipes.serving.server import Settings, application
    from dlrecipes.serving.store import ModelStore

    root = tmp_path_factory.mktemp("models")
    for version in (1, 3):
        shutil.copytree(saved, root / "half_plus_two" / str(version))
    store = ModelStore(root, {"half_plus_two": {"stable": 1}})
    store.refresh()
    settings = Settings(root, limits=LIMITS, log=False)
    with TestClient(application(settings, store), raise_server_exceptions=False) as client:
        yield client
