"""Searches of a small recipe: they end, go on, survive what fails, and are drawn."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml

from dlrecipes._utils.files import try_lock


def command(line, *options):
    return [sys.executable, "-m", "dlrecipes", "tune", str(line), *options]


def tune(line, *options, code=0):
    found = subprocess.run(
        command(line, *options), cwd=line.parent, capture_output=True, text=True, timeout=400
    )
    assert "Traceback" not in found.stderr
    assert found.returncode == code, found.stdout + found.stderr
    return found


def table(line, name="search"):
    path = line.parent / "searches" / "line" / name / "trials.csv"
    return list(csv.DictReader(path.open()))


def test_a_search_ranks_its_trials_and_writes_the_best(line, dlrecipes, monkeypatch):
    # In this process, which has loaded TensorFlow already; the other searches are processes.
    monkeypatch.chdir(line.parent)
    found = dlrecipes("tune", line, "--trials", "2", "--max-epochs", "3", "--seed", "1")
    assert found.code == 0, found.err
    rows = table(line)
    assert len(rows) == 2
    done = [row for row in rows if row["state"] == "done"]
    best = min(done, key=lambda row: float(row["error"]))
    folder = line.parent / "searches" / "line" / "search"
    settings = yaml.safe_load((folder / "best.yaml").read_text())
    assert settings["rate"] == float(best["rate"])
    assert settings["epochs"] == 3
    assert f"--config {(folder / 'best.yaml').relative_to(line.parent)}" in found.out
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"objective.png", "parallel_coordinates.png"}
    # The first trial is the recipe as it is.
    assert (rows[0]["trial"], float(rows[0]["rate"])) == ("0", 0.01)
    # A trial is a run: its configuration, history and checkpoints are kept.
    trial = folder / "trials" / best["trial"]
    assert {"config.yaml", "history.csv", "checkpoints"} <= {p.name for p in trial.iterdir()}
    # The test data is not looked at.
    assert set(json.loads((trial / "metrics.json").read_text())) & {"test"} == set()


@pytest.mark.slow
def test_the_same_command_has_nothing_left_and_more_trials_continue_it(line):
    tune(line, "--trials", "2", "--max-epochs", "3", "--seed", "1")
    rows, folder = table(line), line.parent / "searches" / "line" / "search"
    before = (folder / "trials.csv").read_text()
    tune(line, "--trials", "2", "--max-epochs", "3", "--seed", "1")
    assert (folder / "trials.csv").read_text() == before
    tune(line, "--trials", "3", "--max-epochs", "3", "--seed", "1")
    assert table(line)[:2] == rows
    assert len(table(line)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_failed_trials_are_recorded_and_the_search_continues(line, workers):
    # Above 0.8 a trial's process dies, above 0.9 it runs out of memory.
    text = (line / "config.py").read_text().replace("Search(0.001, 1.0", "Search(0.7, 1.0")
    (line / "config.py").write_text(text)
    found = tune(line, "--trials", "9", "--seed", "2", "--workers", workers)
    rows = table(line)
    states = {row["state"] for row in rows}
    assert states == {"done", "failed"}
    problems = {row["problem"] for row in rows if row["state"] == "failed"}
    assert any("MemoryError: too large" in one for one in problems)
    assert any("ended with code 9" in one for one in problems)
    assert "failed" in found.stdout


@pytest.mark.slow
def test_a_search_that_is_killed_resumes_its_trials(line, tmp_path):
    with subprocess.Popen(
        command(line, "--trials", "4", "--epochs", "400"), cwd=line.parent
    ) as process:
        searched = line.parent / "searches" / "line" / "search" / "trials"
        while not (searched / "1" / "checkpoints").is_dir():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    first = json.loads((searched / "0" / "trial.json").read_text())
    stamp = (searched / "0" / "trial.json").stat().st_mtime_ns
    tune(line, "--trials", "4", "--epochs", "400")
    rows = table(line)
    assert [row["state"] for row in rows] == ["done"] * 4
    # The first trial was not run again.
    assert (searched / "0" / "trial.json").stat().st_mtime_ns == stamp
    assert float(rows[0]["error"]) == pytest.approx(first["score"], rel=1e-5)


@pytest.mark.slow
def test_several_machines_search_together(line, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    machines = {}
    for name in ("chief", "worker0", "worker1"):
        folder = line.parent / name
        folder.mkdir()
        machines[name] = subprocess.Popen(
            command(line, "--trials", "4", "--epochs", "2"),
            cwd=folder,
            env={**os.environ, **shared, "KERASTUNER_TUNER_ID": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    told = {name: process.communicate(timeout=300)[0] for name, process in machines.items()}
    assert [process.returncode for process in machines.values()] == [0, 0, 0], told
    assert "4 trials finished, 0 failed" in told["chief"]
    assert "the chief has the table" in told["worker0"]
    path = line.parent / "chief" / "searches" / "line" / "search" / "trials.csv"
    assert [row["state"] for row in csv.DictReader(path.open())] == ["done"] * 4


@pytest.mark.slow
def test_two_workers_share_the_trials_and_one_that_is_killed_costs_nothing(line, tmp_path):
    killed = tmp_path / "killed"
    found = tune(line, "--trials", "6", "--workers", "2", "--kill", str(killed))
    assert killed.exists()
    assert "was lost; restarting" in found.stderr
    rows = table(line)
    assert [row["state"] for row in rows] == ["done"] * 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trials", "0"], "--trials"),
        (["--objective", "a:b"], "expected NAME, NAME:min or NAME:max"),
        (["--rate", "0.1"], "nothing is left to tune"),
        (["--epochs", "3", "--max-epochs", "3"], "are the same here"),
        (["--name", "a/b"], "expected the name of a folder"),
        (["--raet", "3"], "raet: no such setting. Did you mean"),
    ],
)
def test_wrong_options_are_one_line(dlrecipes, line, monkeypatch, options, said):
    monkeypatch.chdir(line.parent)
    answer = dlrecipes("tune", str(line), *options)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_networks_over_the_limit_are_not_trained(line, workers):
    # The line has a slope and an intercept.
    limit = ("--max-parameters", "1.5", "--workers", workers)
    found = tune(line, "--trials", "2", "--epochs", "1", *limit, code=1)
    assert "0 trials finished, 0 failed, 2 over the limit" in found.stdout
    assert [row["state"] for row in table(line)] == ["over limit"] * 2
    assert table(line)[0]["problem"] == "2 parameters exceed --max-parameters 1.5."
    assert list((line.parent / "searches").rglob("history.csv")) == []
    found = tune(line, "--max-macs", "9", "--workers", workers, "--name", "macs", code=2)
    assert "--max-macs: line does not report macs; use --max-parameters." in found.stderr


@pytest.mark.slow
def test_an_unknown_objective_is_reported(line):
    found = tune(line, "--trials", "3", "--objective", "glory", "--epochs", "1", code=2)
    assert "--objective glory: unknown; expected one of " in found.stderr
    # At the first trial, for the others would not have it either; the name is free again.
    assert not (line.parent / "searches" / "line" / "search").exists()


def test_a_search_that_another_process_is_at_is_refused(line, dlrecipes, monkeypatch):
    monkeypatch.chdir(line.parent)
    folder = line.parent / "searches" / "line" / "search"
    folder.mkdir(parents=True)
    with try_lock(folder) as alone:
        assert alone
        answer = dlrecipes("tune", str(line), "--trials", "1", "--epochs", "1")
    assert answer.code == 2
    assert "in use by another process" in answer.err
