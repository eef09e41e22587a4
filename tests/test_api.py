"""The front door in Python: the same errors, and the same data, as the command line."""

import json
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest

import dlrecipes as front_door
from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import Recipe, RecipeConfig, Splits

SENTENCES = ["leave Beijing on November 2nd", "arrive Rome at 7 p.m."]
SMALL = {"examples": 100, "units": 8, "word_units": 8, "ngram_units": 8, "min_steps_per_epoch": 1}


class Line(Recipe):
    """A recipe of this file, without a folder: fits y = 3 x."""

    Config = RecipeConfig

    def load_data(self):
        x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
        return Splits(x, x, x)

    def build(self, splits):
        model = keras.Sequential([keras.Input((1,), name="x"), keras.layers.Dense(1, name="y")])
        model.compile(keras.optimizers.SGD(0.3), "mse")
        return model

    def dataset(self, model, examples, start_epoch=None):
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((examples, 3 * examples)).batch(16)


@pytest.fixture(scope="module")
def model(run_once):
    return front_door.load("slot_filling", models_dir=run_once[1])


def test_recipes_are_listed_with_their_line():
    recipes = front_door.list_recipes()
    assert "slot_filling" in recipes
    assert all(line.endswith(".") for line in recipes.values())


def test_a_recipe_has_its_settings():
    recipe = front_door.load_recipe("slot_filling", units=64)
    assert (recipe.name, recipe.config.units) == ("slot_filling", 64)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("slot_fillin", {}, "Did you mean 'slot_filling'"),
        ("slot_filling", {"unit": 3}, "unit: no such setting. Did you mean 'units'"),
        ("slot_filling", {"units": 0}, "units: 0 is not an integer >= 1"),
    ],
)
def test_a_mistake_is_the_command_lines_error(name, settings, message):
    with pytest.raises(UsageError, match=message):
        front_door.load_recipe(name, **settings)


def test_an_object_of_a_class_of_ones_own_runs(tmp_path):
    recipe = Line(RecipeConfig(epochs=10, batch_size=16), "line")
    folders = {"runs_dir": tmp_path / "runs", "models_dir": tmp_path / "models"}
    result = front_door.run(recipe, name="first", **folders)
    assert result.folder == tmp_path / "runs" / "line" / "first"
    assert result.metrics["test"]["loss"] < 0.01
    loaded = front_door.load(tmp_path / "models" / "line")
    assert loaded.folder == result.version.folder
    # y = 3 x, learned to within the loss above.
    (prediction,) = loaded.predict([[0.5]])
    assert prediction["y"] == pytest.approx([1.5], abs=0.3)
    with pytest.raises(UsageError, match="there is a run of that name"):
        front_door.run(recipe, name="first", **folders)


def test_predictions_are_data(model):
    predictions = model.predict(SENTENCES)
    assert json.loads(json.dumps(predictions)) == predictions
    assert [p["tokens"][0] for p in predictions] == ["leave", "arrive"]
    assert all(len(p["tags"]) == len(p["tokens"]) for p in predictions)


def test_a_model_opens_each_of_its_files(model):
    assert model.keras_model(compile=False).count_params() > 1000
    assert "tags" in model.function("serving_default").structured_outputs
    words, ngrams = np.int32([[2, 3]]), np.int32([[[2], [3]]])
    assert model.litert()(words=words, ngrams=ngrams)["tags"].shape == (1, 2)
    with pytest.raises(UsageError, match="has no signature 'other'"):
        model.function("other")


def test_a_version_is_found_by_name_number_and_path(run_once, model):
    models = run_once[1]
    for found in (
        front_door.load("slot_filling", version=1, models_dir=models),
        front_door.load(models / "slot_filling"),
        front_door.load(models / "slot_filling" / "1"),
        front_door.load(str(models / "slot_filling" / "1"), recipe="slot_filling"),
    ):
        assert found.folder == model.folder
        assert "tokens" in found.predict(SENTENCES[:1])[0]
    with pytest.raises(UsageError, match="there is no version 7"):
        front_door.load("slot_filling", version=7, models_dir=models)
    for inputs in (SENTENCES[0], 3, None):
        with pytest.raises(UsageError, match="expected a list"):
            model.predict(inputs)
    with pytest.raises(UsageError, match=r"Input 2: expected a sentence, got int\."):
        model.predict([SENTENCES[0], 3])


def test_a_missing_version_is_described_by_its_models_name(tmp_path):
    with pytest.raises(UsageError, match=r"none: no model is published there") as caught:
        front_door.load(tmp_path / "none" / "1")
    assert caught.value.hint == f"No models are published in {tmp_path}."
    (tmp_path / "line" / "2").mkdir(parents=True)
    with pytest.raises(UsageError, match="line: there is no version 1") as caught:
        front_door.load(tmp_path / "line" / "1")
    assert caught.value.hint == "Published versions: 2."


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("slot_filling", "Make one: dlrecipes run slot_filling On other data there is: {other}."),
        ("slot_filing-atis", "Did you mean 'slot_filling-atis'?"),
        ("xyz", "Published models: net, {other}."),
    ],
)
def test_the_hint_names_a_recipe_or_else_published_models(tmp_path, model, hint):
    other = "slot_filling-atis"
    for name in (other, "net"):
        (tmp_path / name / "1").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for found in (model, tmp_path / model, tmp_path / model / "1"):
        with pytest.raises(UsageError, match=f"{model}: no model is published there") as caught:
            front_door.load(found, models_dir=tmp_path)
        assert caught.value.hint == hint.format(other=other)


def test_a_version_of_a_folder_with_a_recipe_is_not_looked_for_elsewhere(tmp_path):
    source = tmp_path / "tagger"
    source.mkdir()
    (source / "recipe.py").touch()
    (tmp_path / "models" / "tagger" / "1").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"tagger: no model is published there"):
        front_door.load(source / "1", models_dir=tmp_path / "models")


def test_a_recipe_whose_options_say_everything_needs_no_inputs(tmp_path, monkeypatch):
    source = SimpleNamespace(
        name="generator",
        predictions=lambda settings: SimpleNamespace(predict=lambda version, inputs, _: inputs),
        predict_options=lambda: None,
    )
    model = front_door.Model(ModelVersion(tmp_path), source)
    monkeypatch.setattr(model, "_settings", lambda: None)
    assert model.predict() == []


def test_a_model_of_strings_without_a_recipe_takes_text(run_once):
    version = run_once[0].version
    plain = front_door.Model(version, None)
    (prediction,) = plain.predict(SENTENCES[:1])
    assert prediction["tokens"][0] == "leave"


def test_a_network_of_ones_own_is_published_and_loaded(tmp_path):
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((2,), name="b")}
    outputs = {"total": keras.layers.Add(name="total")([inputs["a"], inputs["b"]])}
    network = keras.Model(inputs, outputs)
    x = np.ones((4, 2), "float32")
    published = front_door.publish(network, tmp_path / "sum", examples={"a": x, "b": 2 * x})
    assert published.predict([{"a": [1, 2], "b": [3, 4]}]) == [{"total": [4.0, 6.0]}]
    with pytest.raises(UsageError, match="needs a value for each of: a, b"):
        published.predict([[1, 2]])


def test_any_tuner_of_keras_tuner_takes_a_hypermodel(tmp_path):
    hypermodel = front_door.HyperModel(
        "slot_filling", **SMALL, epochs=1, encoding="one_of_n", cell="elman", depth=1, context=0
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective="val_loss", max_trials=2, directory=tmp_path, seed=1
    )
    names = {parameter.name for parameter in tuner.oracle.get_space().space}
    assert "learning_rate" in names
    assert not {"units", "epochs", "cell"} & names
    tuner.search(verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert 3e-4 <= best.get("learning_rate") <= 1e-2
    assert len(tuner.oracle.trials) == 2
    with pytest.raises(UsageError, match="no such setting"):
        front_door.HyperModel("slot_filling", unit=3)


@pytest.mark.parametrize("function", ["load", "load_recipe", "run"])
@pytest.mark.parametrize("value", [None, 3, ["slot_filling"]])
def test_what_is_not_a_name_or_a_folder_is_refused(function, value):
    with pytest.raises(UsageError, match=f"{function}: expected .* got {type(value).__name__}"):
        getattr(front_door, function)(value)
