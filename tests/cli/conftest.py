"""Runs of slot filling that are refused, that are stored, and whose training is replaced."""

import importlib

import pytest

from dlrecipes.recipe import registry


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def refused(dlrecipes, empty_directory, monkeypatch):
    """Runs slot filling with options that are wrong; returns the lines of the message."""

    def load_tensorflow():
        raise AssertionError("refused before anything is loaded")

    monkeypatch.setattr("dlrecipes._utils.quiet.load_tensorflow", load_tensorflow)

    def call(*options, recipe="slot_filling"):
        before = tree(empty_directory)
        answer = dlrecipes("run", recipe, *options)
        assert (answer.code, answer.out) == (2, "")
        assert tree(empty_directory) == before, "a refused command leaves nothing behind"
        first, *rest = answer.err.splitlines()
        assert first.startswith("Error: ")
        return [first.removeprefix("Error: "), *(line.strip() for line in rest)]

    return call


@pytest.fixture
def stored_run(empty_directory):
    """Writes the configuration of a run into its folder."""

    def write(name, **settings):
        folder = empty_directory / "runs" / "slot_filling" / name
        folder.mkdir(parents=True)
        config = registry.find("slot_filling").config()
        (folder / "config.yaml").write_text(config.parse(settings).to_yaml())
        return folder

    return write


@pytest.fixture
def asked(monkeypatch):
    """Replaces training: records the run, then is interrupted."""
    calls = []

    def run(recipe, folder, models, strategy=None, say=print):
        calls.append((recipe, folder, models))
        raise KeyboardInterrupt

    # The attribute of that name of the package is the function.
    monkeypatch.setattr(importlib.import_module("dlrecipes.runner.run"), "run", run)
    return calls
