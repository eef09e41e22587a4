"""Test inputs of a finished run: the recipe's own, or those that are stored with the version."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe import ExampleFile, Recipe, RecipeConfig
from dlrecipes.recipe.example_files import StandardInput
from dlrecipes.runner.example_inputs import keep_examples


class Mine(Recipe):
    """A recipe without predictions of its own."""

    load_data = build = dataset = None


@pytest.fixture
def version(tmp_path):
    """Returns a function that makes a version with stored inputs of the default signature."""

    def make(**inputs):
        packed = {}
        for name, values in inputs.items():
            tensor = tf.constant(values)
            content = base64.b64encode(tf.io.serialize_tensor(tensor).numpy()).decode()
            packed[name] = f"{content}:{tensor.dtype.name}"
        extras = tmp_path / "1" / EXTRAS
        extras.mkdir(parents=True)
        stored = {"signatures": {"serving_default": [{"inputs": packed, "outputs": {}}]}}
        (extras / "examples.json").write_text(json.dumps(stored))
        return ModelVersion(tmp_path / "1")

    return make


def kept(version, folder, recipe=Mine):
    return keep_examples(recipe(RecipeConfig(), "mine"), None, version, folder)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"x": [[1.5, 2.0], [3.0, 4.0]]}, "[1.5, 2.0]"),
        ({"line": ["to Rome", "to Oslo"]}, "to Rome"),
        ({"b": [2], "a": [[1]]}, '{"b": 2, "a": [1]}'),
    ],
)
def test_a_stored_input_is_written_as_predictions_take_it(version, tmp_path, inputs, text):
    ((argument,),) = kept(version(**inputs), tmp_path)
    assert argument == text
    assert not (tmp_path / "examples").exists()


def test_an_image_is_kept_as_a_file(version, tmp_path):
    ((path,),) = kept(version(image_bytes=[b"\x89PNG", b"other"]), tmp_path)
    assert path.read_bytes() == b"\x89PNG"


def test_a_long_input_is_kept_as_a_line_for_standard_input(version, tmp_path):
    ((argument,),) = kept(version(x=np.arange(300.0)[None]), tmp_path)
    assert isinstance(argument, StandardInput)
    assert json.loads(argument.path.read_text()) == list(range(300))


def test_inputs_of_the_recipe_come_first(version, tmp_path):
    class Own(Mine):
        def example_inputs(self, splits):
            return [ExampleFile("a.txt", "a line\n")]

    ((argument,),) = kept(version(x=[1.0]), tmp_path, Own)
    assert argument.path.read_text() == "a line\n"


def test_a_failure_is_a_note(version, tmp_path, capsys):
    class Broken(Mine):
        def example_inputs(self, splits):
            raise ValueError("no test data")

    assert kept(version(x=[1.0]), tmp_path, Broken) == []
    assert capsys.readouterr().err == "Note: no example inputs could be kept: no test data\n"
