"""Interrupted training restarts while it makes progress, else it ends in one line."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlrecipes.distribute import Cluster
from dlrecipes.errors import DataError, RecipeError, UsageError
from dlrecipes.runner import supervisor

CLUSTER = Cluster(workers=2, is_chief=False, name="worker 1")
CUT = (supervisor.LOST, {"joined": True, "lost": "Socket closed"})
KILLED = (-signal.SIGKILL, {"joined": True})
ENDED = (0, {"joined": True})


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Trains with child processes that end as told; an integer first makes that epoch's folder."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def call(*ends, done=lambda: False):
        left = list(ends)

        def child(task, deadline):
            while isinstance(left[0], int):
                (tmp_path / "checkpoints" / f"epoch-{left.pop(0):04d}").mkdir(parents=True)
            return left.pop(0)

        monkeypatch.setattr(supervisor, "_child", child)
        supervisor.train({}, tmp_path, CLUSTER, done)
        return left

    return call


def test_what_is_cut_starts_again_and_says_why(train, capsys):
    assert train(CUT, KILLED, ENDED) == []
    assert capsys.readouterr().out.split("\n") == [
        "",
        "worker 1: training was interrupted (Socket closed); restarting.",
        "",
        "worker 1: training was interrupted (signal 9); restarting.",
        "",
    ]


def test_it_gives_up_when_no_epoch_gets_done(train):
    with pytest.raises(
        RecipeError, match=r"worker 1: training was interrupted 6 times in one epoch"
    ):
        train(*[CUT] * 6, ENDED)


def test_every_epoch_that_gets_done_is_a_new_chance(train):
    assert train(*[CUT] * 5, 1, *[CUT] * 5, 2, *[CUT] * 5, ENDED) == []


def test_nothing_starts_when_the_training_is_over(train):
    assert train(ENDED, done=lambda: True) == [ENDED]


def test_what_the_user_can_mend_is_not_tried_again(train):
    wrong = {"error": "no_such_folder: it is not there.", "hint": "Look.", "kind": "DataError"}
    with pytest.raises(DataError, match="no_such_folder"):
        train((1, wrong), ENDED)
    with pytest.raises(UsageError):
        train((1, {**wrong, "kind": "UsageError"}), ENDED)


def test_workers_that_never_come_are_not_waited_for_longer_than_that(train, monkeypatch):
    monkeypatch.setattr(supervisor, "WAIT_S", 0.0)
    with pytest.raises(RecipeError, match="not all 2 workers joined within 0 minutes"):
        train((-signal.SIGKILL, {}), ENDED)


def test_a_child_that_never_joins_ends_at_the_deadline(monkeypatch, tmp_path):
    patient = tmp_path / "patient"
    patient.write_text("#!/bin/sh\nexec sleep 60\n")
    patient.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(patient))
    started = time.monotonic()
    code, report = supervisor._child({}, started + 0.3)
    assert (code, report) == (-signal.SIGKILL, {})
    assert time.monotonic() - started < 5


def is_running(number):
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    # A finished process may wait to be reaped: a zombie.
    return status.rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.parametrize("busy", ["time.sleep(60)", "ctypes.PyDLL(None).sleep(60)"])
def test_a_child_ends_with_its_parent(busy):
    # The second holds Python's lock, as TensorFlow does while it waits for other workers.
    child = (
        "import ctypes, os, time\n"
        "from dlrecipes._utils.processes import exit_with_parent\n"
        "exit_with_parent()\n"
        "print(os.getpid(), flush=True)\n"
        f"{busy}\n"
    )
    parent = (
        "import subprocess, sys\n"
        # `run` would close the pipe at once, and the child would end by that.
        f"subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE).wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        number = int(process.stdout.readline())
        time.sleep(0.5)
        assert is_running(number)
        process.kill()
        # The pipe ends when the child, which has it too, has ended.
        started = time.monotonic()
        assert process.stdout.read() == b""
    assert time.monotonic() - started < 10
    while is_running(number):
        assert time.monotonic() - started < 10
        time.sleep(0.01)
