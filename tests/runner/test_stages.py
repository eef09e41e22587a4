"""The stages of a run: what is said at the end of each, and how its seconds are counted."""

import os
import subprocess
import sys
import time

import pytest

from dlrecipes._utils.stages import Stages, stage


def burn(seconds):
    start = os.times()
    while sum(os.times()[:2]) - sum(start[:2]) < seconds:
        sum(range(1000))


def test_a_stage_within_another_counts_only_there():
    stages = Stages()
    with stages.active(), stage("publish"):
        time.sleep(0.1)
        with stage("check"):
            time.sleep(0.3)
        time.sleep(0.1)
    assert stages.seconds["check"] == pytest.approx(0.3, abs=0.08)
    assert stages.seconds["publish"] == pytest.approx(0.2, abs=0.08)


def test_stages_with_the_same_name_add_up():
    stages = Stages()
    for _ in range(2):
        with stages.active(), stage("data"):
            time.sleep(0.1)
    assert stages.seconds["data"] == pytest.approx(0.2, abs=0.08)


def test_cpu_seconds_include_those_of_ended_child_processes():
    stages = Stages()
    program = "import os\nwhile sum(os.times()[:2]) < 0.4: sum(range(1000))"
    with stages.active(), stage("check"):
        subprocess.run([sys.executable, "-S", "-c", program], check=True)
        burn(0.1)
    assert 0.45 <= stages.cpu_seconds["check"] <= 0.9


def test_a_stage_says_what_it_did_with_its_own_seconds():
    lines = []
    with Stages(lines.append).active(), stage("publish") as done:
        with stage("check") as checked:
            time.sleep(0.3)
            checked("Compared the files")
        done("Wrote the files")
    assert lines == ["Compared the files in 0.3 s.", "Wrote the files in 0.0 s."]


def test_a_stage_that_fails_says_nothing_and_counts():
    lines = []
    stages = Stages(lines.append)
    with pytest.raises(ValueError, match="broken"), stages.active(), stage("data") as done:
        done("Read the data")
        raise ValueError("broken")
    assert lines == [] and "data" in stages.seconds


def test_without_active_stages_a_block_runs_as_it_is():
    with stage("data") as done:
        done("Read the data")
