"""`dlrecipes run --strategy`: two workers train as one process does, whoever is killed."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import dlrecipes.training  # noqa: F401  (the classes that are loaded)

# The last batch of an epoch is one sentence: nothing is left for the second worker. The loss
# falls for longer than that: what is published is the last epoch.
SIZES = {"units": 8, "word-units": 8, "ngram-units": 8}
TINY = {
    **SIZES,
    "examples": 100,
    "batch-size": 33,
    "epochs": 3,
    "monitor": "loss",
    "min-steps-per-epoch": 1,
}
# Each replica has its own dropout: without it, two replicas equal one.
# In bfloat16, sums depend on how a batch is divided.
EXACT = {**TINY, "dropout": 0, "word-dropout": 0, "precision": "float32"}

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="training is TensorFlow's"
)


def command(settings, *options):
    typed = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "dlrecipes", "run", "slot_filling", *typed, *options]


def start(folder, settings, *options, **environment):
    return subprocess.Popen(
        command(settings, *options),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Workers:
    """Two workers of one run, each with a disk of its own."""

    def __init__(self, root, settings, others=()):
        self.folders = [root / "chief", root / "other"]
        self.start = [self._starter(n, settings, options) for n, options in ((0, ()), (1, others))]
        for folder in self.folders:
            folder.mkdir()
        self.running = [start() for start in self.start]

    def _starter(self, index, settings, options):
        if index == 0:
            self.hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": self.hosts}, "task": task})
        options = ["--strategy=multi_worker", "--name=both", *options]
        return lambda: start(self.folders[index], settings, *options, TF_CONFIG=config)

    @property
    def run(self):
        return self.folders[0] / "runs" / "slot_filling" / "both"

    @property
    def published(self):
        (version,) = (self.folders[0] / "saved_models" / "slot_filling").iterdir()
        return version

    def wait_for(self, name):
        deadline = time.monotonic() + 200
        while not (self.run / name).exists():
            assert time.monotonic() < deadline
            assert all(process.poll() is None for process in self.running)
            time.sleep(0.01)

    def finish(self):
        texts = [process.communicate(timeout=300)[0] for process in self.running]
        assert [process.returncode for process in self.running] == [0, 0], "\n".join(texts)
        return texts


def free_ports(count):
    found = [socket.socket() for _ in range(count)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in found]
    for one in found:
        one.close()
    return ports


def child_of(process):
    """Waits until a process has started its child; returns that one's id."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(found[0])


def ctrl_c(process):
    """Interrupts a process, again as a user would where nothing happens; returns what it wrote."""
    for patience in (40, 40, 40):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("It did not end.")


def weights(published):
    model = keras.saving.load_model(published / "model.keras")
    return [np.array(weight) for weight in model.weights]


def history(run):
    with (run / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder in which one process has run."""
    folder = tmp_path_factory.mktemp("alone")
    process = start(folder, EXACT, "--name=both")
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return folder


def assert_same_run(folder, alone):
    paths = ["saved_models/slot_filling/1", "runs/slot_filling/both"]
    (ours, our_run), (theirs, their_run) = ([f / path for path in paths] for f in (folder, alone))
    for one, other in zip(weights(ours), weights(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    for one, other in zip(history(our_run), history(their_run), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_two_workers_end_with_the_weights_of_one_process(alone, tmp_path):
    workers = Workers(tmp_path, EXACT)
    _, other = workers.finish()
    assert_same_run(workers.folders[0], alone)
    assert workers.published.name == "1"
    assert json.loads((workers.run / "metrics.json").read_text())["best_epoch"] == 3
    assert "worker 1: training is over" in other
    assert list(workers.folders[1].iterdir()) == [], "only the chief writes"


# The second worker's disk has no such version: the chief sends it the weights.
@pytest.mark.slow
def test_two_workers_begin_with_the_version_that_the_chief_reads(alone, tmp_path):
    settings = {**EXACT, "start": alone / "saved_models" / "slot_filling" / "1", "seed": 1}
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    process = start(one, settings, "--name=both")
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    workers = Workers(two, settings, others=["--start=nowhere"])
    workers.finish()
    assert_same_run(workers.folders[0], one)
    recorded = json.loads((workers.run / "metrics.json").read_text())["start"]
    assert recorded["version"] == str(settings["start"])
    # Trained weights: the first loss is below the last one of the version's own run.
    assert history(workers.run)[0]["loss"] < history(alone / "runs/slot_filling/both")[-1]["loss"]


@pytest.mark.slow
def test_two_devices_end_with_the_weights_of_one(alone, tmp_path):
    script = (
        "import tensorflow as tf\n"
        "from dlrecipes.cli.main import main\n"
        "[cpu] = tf.config.list_physical_devices('CPU')\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "main()\n"
    )
    _, _, _, *arguments = command(EXACT, "--name=both", "--strategy=mirrored")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path, alone)


def test_ctrl_c_ends_a_worker_that_waits_for_the_others(tmp_path):
    task = {"type": "worker", "index": 0}
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    config = json.dumps({"cluster": {"worker": hosts}, "task": task})
    options = ("--strategy=multi_worker", "--name=both")
    waiting = start(tmp_path, TINY, *options, TF_CONFIG=config)
    child = child_of(waiting)
    parents = Path(f"/proc/{waiting.pid}/cmdline").read_bytes()
    # Not while the child is being made: Python may lose the signal there.
    while Path(f"/proc/{child}/cmdline").read_bytes() == parents:
        time.sleep(0.1)
    time.sleep(2)
    text = ctrl_c(waiting)
    assert waiting.returncode == 130
    assert text.splitlines()[-1].endswith("--resume --name both --strategy multi_worker")
    assert not Path(f"/proc/{child}").exists()


# Slow because each case is four processes. `test_supervisor.py` has what the parents do with the
# ends of their children.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--seed=1", "This worker's settings are not the chief's: --seed."),
        ("--data=nowhere", "nowhere"),
    ],
)
def test_a_worker_that_cannot_begin_ends_all(tmp_path, option, line):
    # --examples is for the built-in data alone.
    settings = {name: value for name, value in TINY.items() if name != "examples"}
    workers = Workers(tmp_path, settings, others=[option])
    chief, other = (process.communicate(timeout=120)[0] for process in workers.running)
    codes = [process.returncode for process in workers.running]
    assert codes == [1, 2 if "seed" in option else 1]
    assert "Error: Another worker cannot start." in chief
    assert line in other


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of two workers of which none was killed."""
    workers = Workers(tmp_path_factory.mktemp("whole"), TINY)
    workers.finish()
    return weights(workers.published)


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_worker_that_is_restarted_resumes(whole, tmp_path, which):
    workers = Workers(tmp_path, TINY)
    workers.wait_for("checkpoints/epoch-0001")
    workers.running[which].send_signal(signal.SIGKILL)
    workers.running[which].communicate()
    workers.running[which] = workers.start[which]()
    texts = workers.finish()
    assert f"worker {1 - which}: training was interrupted" in texts[1 - which]
    assert [w.tobytes() for w in weights(workers.published)] == [w.tobytes() for w in whole]


@pytest.mark.slow
def test_a_training_process_that_is_killed_restarts(whole, tmp_path):
    workers = Workers(tmp_path, TINY)
    workers.wait_for("checkpoints/epoch-0002")
    os.kill(child_of(workers.running[1]), signal.SIGKILL)
    texts = workers.finish()
    assert "worker 1: training was interrupted (signal 9)" in texts[1]
    assert [w.tobytes() for w in weights(workers.published)] == [w.tobytes() for w in whole]
