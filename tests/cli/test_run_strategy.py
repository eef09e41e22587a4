"""`dlrecipes run --strategy multi_worker`: what the chief does, and what the other workers do."""

import json
import shlex

import pytest

from dlrecipes.runner import supervisor


@pytest.fixture
def as_worker(monkeypatch):
    """Makes this process one of two workers."""

    def call(index):
        task = {"type": "worker", "index": index}
        cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))

    return call


@pytest.fixture
def supervised(monkeypatch):
    """Replaces the training of a worker: records its task and folder."""
    calls = []
    monkeypatch.setattr(supervisor, "train", lambda *given: calls.append(given))
    return calls


TOGETHER = ("--strategy", "multi_worker")


def test_workers_without_a_cluster_are_refused(refused, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert refused(*TOGETHER)[0].startswith("TF_CONFIG is not set")


def test_several_workers_need_the_name_of_the_run(refused, as_worker):
    as_worker(1)
    first, hint = refused(*TOGETHER)
    assert first.startswith("Multi-worker runs need --name")
    assert "--name NAME" in hint


def test_the_same_command_of_a_chief_resumes(
    dlrecipes, empty_directory, as_worker, supervised, asked
):
    as_worker(0)
    command = ["run", "slot_filling", "--name", "monday", "--units", "9", *TOGETHER]
    first, second = dlrecipes(*command), dlrecipes(*command)
    assert (first.code, second.code) == (130, 130)
    assert first.out.startswith("slot_filling: run runs/slot_filling/monday")
    assert second.out.startswith("slot_filling: resuming runs/slot_filling/monday")
    (task, folder, cluster, _), _ = supervised
    assert (task["recipe"], task["settings"]["units"]) == ("slot_filling", 9)
    assert (str(folder), cluster.workers) == ("runs/slot_filling/monday", 2)
    # The process that publishes trains without a strategy.
    assert [run[0].config.units for run in asked] == [9, 9]
    (line,) = [line for line in second.err.splitlines() if "--resume" in line]
    assert "--strategy multi_worker" in line
    assert dlrecipes(*shlex.split(line)[1:]).code == 130


def test_a_chief_refuses_a_trained_run_with_other_settings(refused, as_worker, stored_run):
    as_worker(0)
    (stored_run("monday", units=3) / "checkpoints" / "epoch-0001").mkdir(parents=True)
    first, hint = refused("--name", "monday", "--units", "4", *TOGETHER)
    assert first == "runs/slot_filling/monday: there is a run of that name, with other settings."
    assert "--resume" in hint


def test_a_chief_that_is_started_again_after_the_end_says_so(
    dlrecipes, as_worker, stored_run, supervised
):
    as_worker(0)
    (stored_run("monday") / "metrics.json").write_text('{"published": "somewhere"}')
    answer = dlrecipes("run", "slot_filling", "--name", "monday", *TOGETHER)
    assert answer.code == 0
    assert answer.out == "slot_filling: runs/slot_filling/monday is finished.\n"
    assert supervised == []


@pytest.mark.parametrize("resume", [False, True])
def test_a_worker_that_is_not_the_chief_writes_nothing_and_publishes_nothing(
    dlrecipes, empty_directory, as_worker, supervised, asked, resume
):
    as_worker(1)
    options = ["--resume"] if resume else ["--units", "9"]
    answer = dlrecipes("run", "slot_filling", "--name", "monday", *options, *TOGETHER)
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "slot_filling: worker 1 of 2",
        "worker 1: training is over; the chief evaluates and publishes.",
    ]
    ((task, folder, _, _),) = supervised
    assert not folder.exists()
    # The chief sends the settings: this worker may not see its disk.
    assert task["settings"] is None if resume else task["settings"]["units"] == 9
    assert asked == []
    assert list(empty_directory.iterdir()) == []
