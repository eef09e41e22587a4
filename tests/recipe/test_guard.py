"""Mistakes in a user's recipe are one line that names the file and the line to mend."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import DataError, RecipeCodeError
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.recipe import Splits, registry

RECIPE = '''"""The recipe."""

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.recipe import Recipe, Splits

from .config import Config


class Mine(Recipe):
    """A recipe with one mistake."""

    Config = Config

    def load_data(self):
        return Splits([1], [2], [3])

    def build(self, splits):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def dataset(self, model, examples, start_epoch=None):
        return tf.data.Dataset.from_tensors((np.ones((2, 1)), np.ones((2, 1))))
'''


@pytest.fixture
def make(own_recipe, forget):
    """Makes a recipe from its code: the template with other methods appended."""

    def call(*methods):
        text = RECIPE + "".join(f"\n    {line}\n" for method in methods for line in [method])
        folder = own_recipe(recipe=text)
        forget(folder)
        source = registry.find(str(folder))
        return source.make(source.config()()), folder / "recipe.py", text

    return call


def line_of(text, part):
    """Returns the number of the last line that contains some text."""
    return max(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


MISTAKES = [
    ("load_data", "return [1], [2], [3]", "load_data returned tuple; expected Splits"),
    ("load_data", "pass", "load_data returned nothing; expected Splits"),
    ("load_data", "return Splits({1}, [2], [3])", "the train examples (set) cannot be sliced"),
    ("load_data", "return Splits([1], iter([2]), [3])", "(list_iterator) have no length"),
    ("load_data", "return Splits([1], [2], [])", "the test examples are empty"),
    ("load_data", "return Splits([1], [2], {3: 4})", "the test examples (dict) cannot be sliced"),
    ("load_data", "return Splits([1], [2], [3], notes='read')", "must be a list of sentences"),
    ("load_data", "return Splits([1], [2], [3], test_set=['a'])", "of type list; expected a text"),
    ("build", "pass", "build returned nothing; expected a compiled keras.Model"),
    ("build", "return keras.Sequential([keras.layers.Dense(1)])", "is not built"),
    (
        "build",
        "return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])",
        "is not compiled",
    ),
    ("dataset", "return [1]", "dataset returned list; expected a tf.data.Dataset"),
    ("dataset", "return tf.data.Dataset.range(3).repeat()", "an epoch would never end"),
    ("dataset", "return tf.data.Dataset.range(3), 4", "has 3 batches; expected 4 steps"),
    ("dataset", "return tf.data.Dataset.range(3), 1.5", "steps per epoch are 1.5"),
    ("dataset", "return tf.data.Dataset.from_tensors((['a'], [1]))", "the dataset yields strings"),
    ("evaluate", "return 0.5", "evaluate returned float; expected numbers by name"),
    ("evaluate", "return {'accuracy': [1]}", "accuracy is of type list; expected a number"),
    ("describe", "return {'a': object()}", "describe: a is not data that json.dumps takes"),
    ("snapshot", "return 'image'", "snapshot returned str; expected a NumPy array"),
    ("callbacks", "return [print]", "expected a Keras callback"),
    ("signatures", "return {}", "signatures returned dict; expected Exports"),
    ("predict", "return [object()]", "predict: element 1 is not data that json.dumps takes"),
    ("predict", "return {'a': 1}", "predict returned dict; expected a list of predictions"),
    ("present", "return 3", "present returned int; expected a text"),
    ("example_inputs", "return [3]", "has an element of type int; expected a text"),
]


@pytest.mark.parametrize(("method", "body", "message"), MISTAKES)
def test_a_wrong_result_names_the_line_that_returns_it(make, method, body, message):
    recipe, path, text = make(f"def {method}(self, *given, **more):\n        {body}")
    model = make_model() if method == "dataset" else None
    with pytest.raises(RecipeCodeError) as error:
        getattr(recipe, method)(model, None)
    line = line_of(text, body if body != "pass" else f"def {method}(")
    assert error.value.message.startswith(f"{path}:{line} ({method}): ")
    assert message in error.value.message
    assert error.value.hint == f"Fix it; dlrecipes validate {path.parent} checks it."


def make_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    "method", ["load_data", "build", "evaluate", "describe", "predict", "labels", "row_names"]
)
def test_an_exception_names_its_own_line(make, method, monkeypatch):
    recipe, path, text = make(f"def {method}(self, *given):\n        return {{}}['weight']")
    with pytest.raises(RecipeCodeError) as error:
        getattr(recipe, method)(None)
    line = line_of(text, "['weight']")
    assert error.value.message == f"{path}:{line}: KeyError: there is no 'weight'."
    assert error.value.hint.endswith("DLRECIPES_TRACEBACK=1 shows the traceback.")
    monkeypatch.setenv("DLRECIPES_TRACEBACK", "1")
    with pytest.raises(KeyError):
        getattr(recipe, method)(None)


def test_an_error_inside_a_graph_names_the_line_of_the_user(make):
    recipe, path, text = make(
        "def dataset(self, model, examples, start_epoch=None):\n"
        "        def twice(x):\n"
        "            return x.missing\n\n"
        "        return tf.data.Dataset.range(3).map(twice)"
    )
    with pytest.raises(RecipeCodeError) as error:
        recipe.dataset(make_model(), [1])
    assert error.value.message.startswith(f"{path}:{line_of(text, 'x.missing')}: AttributeError")


def test_a_generator_of_figures_names_the_line_that_fails(make):
    recipe, _, _ = make(
        'def figures(self, model, splits):\n        yield "a", np.zeros(1)\n        yield "b", 7'
    )
    figures = recipe.figures(None, None)
    assert next(figures)[0] == "a"
    with pytest.raises(RecipeCodeError, match="figures yielded str, int; expected a file name"):
        next(figures)


def test_errors_that_are_meant_for_the_user_remain(make):
    recipe, _, _ = make(
        "def load_data(self):\n        from dlrecipes.errors import DataError\n\n"
        '        raise DataError("words.txt:3: bad.")'
    )
    with pytest.raises(DataError, match=r"^words.txt:3: bad\."):
        recipe.load_data()


def test_numbers_of_numpy_and_tensorflow_become_plain_ones(make):
    recipe, _, _ = make(
        "def evaluate(self, model, splits, part):\n"
        '        return {"f1": np.float32(0.5), "loss": tf.constant(2), "by": {3: np.int64(1)}}',
        "def predict(self, version, inputs, options=None):\n        return [{'x': np.arange(2)}]",
    )
    assert json.dumps(recipe.evaluate(None, None, "test")) == (
        '{"f1": 0.5, "loss": 2, "by": {"3": 1}}'
    )
    assert recipe.predict(None, []) == [{"x": [0, 1]}]


def signature(name="x", examples=None):
    spec = [tf.TensorSpec([None], tf.float32, name=name)]
    return Signature(lambda x: {"y": x}, spec, [(np.ones(1),)] if examples is None else examples)


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        (Exports({"serve": signature()}, signature()), "'serving_default', which clients call, "),
        (Exports({"serving_default": print}, signature()), "expected a Signature"),
        (Exports({"serving_default": signature(examples=[])}, signature()), "has no examples"),
        (
            Exports({"serving_default": signature()}, signature(examples=[(1, 2)])),
            "litert has 1 inputs, but an example of 2",
        ),
    ],
)
def test_wrong_signatures_are_named(exports, message):
    from dlrecipes.recipe.contract import CHECKS, ContractError

    with pytest.raises(ContractError) as error:
        CHECKS["signatures"](exports)
    assert message in str(error.value)


def test_a_right_recipe_passes_unchanged(make):
    recipe, _, _ = make()
    splits = recipe.load_data()
    assert isinstance(splits, Splits)
    model = recipe.build(splits)
    assert set(recipe.evaluate(model, splits, "test")) == {"loss"}
    assert recipe.example_inputs(splits) == []


def test_a_run_names_the_line_and_leaves_nothing(dlrecipes, make, empty_directory):
    _, path, text = make("def load_data(self):\n        return open('lost.csv')")
    answer = dlrecipes("run", path.parent)
    assert answer.code == 1
    place = f"{path}:{line_of(text, 'lost.csv')}"
    assert answer.err.splitlines()[-2] == (
        f"Error: {place}: FileNotFoundError: lost.csv: No such file or directory."
    )
    assert list(empty_directory.iterdir()) == []


def test_an_error_in_the_settings_is_the_recipes(dlrecipes, own_recipe, empty_directory, forget):
    folder = own_recipe()
    config = folder / "config.py"
    config.write_text(config.read_text() + "\n    def data_name(self):\n        return 1 / 0\n")
    forget(folder)
    answer = dlrecipes("run", folder)
    line = line_of(config.read_text(), "1 / 0")
    assert answer.err.startswith(f"Error: {config}:{line}: ZeroDivisionError: division by zero.\n")
