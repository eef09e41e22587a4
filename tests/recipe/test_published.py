"""Names of published models: by recipe and data, never replaced silently; what is known of them."""

import json

import pytest

from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import RecipeConfig, registry
from dlrecipes.recipe.published import (
    check_name,
    facts,
    model_name,
    published_models,
    published_source,
    recipe_of,
)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "saved_models"


@pytest.fixture
def publish(models):
    """Writes the files of a version that say where it comes from."""

    def write(name, number=1, recipe="digits", metrics=None, **settings):
        extras = models / name / str(number) / "assets.extra"
        extras.mkdir(parents=True)
        (extras.parent / "saved_model.pb").write_text("graph")
        if recipe:
            (extras / "config.yaml").write_text(RecipeConfig(**settings).to_yaml())
            (extras / "metrics.json").write_text(json.dumps({"recipe": recipe, **(metrics or {})}))
        return ModelVersion(extras.parent)

    return write


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("builtin", "digits"),
        ("/data/shapes", "digits-shapes"),
        ("/data/shapes/", "digits-shapes"),
        ("/data/shapes/../My Shapes (2)", "digits-my-shapes-2"),
        ("tfds:mnist", "digits-mnist"),
        ("tfds:emnist/letters:3.0.0", "digits-emnist-letters-3-0-0"),
        ("/data/手写_数字", "digits-手写-数字"),
        ("/data/E\u0301te\u0301", "digits-été"),
        ("/data/!!!", "digits-data"),
        ("/", "digits-data"),
        ("/data/" + 99 * "x", "digits-" + 60 * "x"),
    ],
)
def test_a_model_of_other_data_has_their_name(data, name):
    assert model_name("digits", RecipeConfig(data=data)) == name


def test_a_file_gives_its_name_without_suffix_and_a_folder_all_of_it(tmp_path):
    (tmp_path / "words.tar.gz").touch()
    (tmp_path / "v1.5").mkdir()
    names = [model_name("x", RecipeConfig(data=str(path))) for path in sorted(tmp_path.iterdir())]
    assert names == ["x-v1-5", "x-words"]


def test_built_in_data_of_another_kind_have_a_name():
    config = registry.find("slot_filling").config()
    assert model_name("slot_filling", config(language="chinese")) == "slot_filling-chinese"
    assert model_name("slot_filling", config()) == "slot_filling"
    images = registry.find("image_classification").config()
    assert model_name("images", images(subject="x_or_o")) == "images-x-or-o"
    assert model_name("dcgan", registry.find("dcgan").config()(subject="faces")) == "dcgan-faces"


def test_a_name_that_is_given_is_the_name():
    assert model_name("digits", RecipeConfig(data="/data/x", publish_as="Shapes")) == "Shapes"


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "a:3", "a\\b", " a", "a\nb", "a@b", "7", "slot_filling"]
)
def test_a_name_that_no_folder_or_server_takes_is_refused(models, name):
    with pytest.raises(UsageError, match="--publish-as"):
        check_name(models, "dcgan", RecipeConfig(publish_as=name))


def test_new_versions_of_the_same_data_keep_their_name(models, publish):
    publish("digits")
    publish("digits-shapes", data="/data/shapes")
    check_name(models, "digits", RecipeConfig())
    check_name(models, "digits", RecipeConfig(data="/data/shapes", seed=5))


@pytest.mark.parametrize(
    ("name", "stored", "settings"),
    [
        ("digits-data", {"data": "/a/data"}, {"data": "/b/data"}),
        ("digits", {"data": "/data/shapes"}, {}),
        ("digits", {"recipe": None}, {}),
        ("digits", {"recipe": "others"}, {}),
    ],
)
def test_other_data_under_the_same_name_are_refused_unless_the_name_is_given(
    models, publish, name, stored, settings
):
    version = publish(name, **stored)
    config = RecipeConfig(**settings)
    with pytest.raises(UsageError) as error:
        check_name(models, "digits", config)
    assert error.value.message.startswith(f"{version.folder}: this version was ")
    assert "\n" not in error.value.message
    assert f"--publish-as {name}" in error.value.hint
    check_name(models, "digits", config.model_copy(update={"publish_as": name}))


def test_the_latest_version_decides(models, publish):
    publish("digits", 9, data="/a")
    publish("digits", 10)
    check_name(models, "digits", RecipeConfig())


def test_facts_say_data_date_and_score(publish, models):
    metrics = {
        "data": "shapes of seed 0",
        "date": "2026-05-01",
        "objective": "accuracy",
        "test": {"loss": 1.5, "accuracy": 0.97126},
    }
    known = facts(publish("digits-shapes", 3, metrics=metrics))
    assert str(known) == "trained on shapes of seed 0, 2026-05-01, test accuracy 0.9713"
    assert (known.name, known.version, known.recipe) == ("digits-shapes", "3", "digits")
    plain = facts(publish("net", recipe=None))
    assert str(plain).startswith("published without a recipe, 20")
    older = facts(publish("digits", data="/data/x", metrics={"test": {"loss": 1.5}}))
    assert (older.data, older.score) == ("/data/x", "loss 1.5000")
    (models / "empty").mkdir()
    assert [x.name for x in published_models(models)] == ["digits", "digits-shapes", "net"]
    assert published_models(models / "nowhere") == []


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_damaged_facts_raise_no_error(publish, text):
    version = publish("digits")
    (version.folder / "assets.extra" / "metrics.json").write_text(text)
    (version.folder / "assets.extra" / "config.yaml").write_text("[")
    assert facts(version).recipe == ""
    assert recipe_of(version) is None


def test_a_published_name_finds_its_recipe(publish, models):
    version = publish("dcgan-faces", recipe="dcgan")
    source, found = published_source("dcgan-faces", models)
    assert (source.name, found.folder) == ("dcgan", version.folder)
    source, found = published_source(str(version.folder), models)
    assert (source.name, found.folder) == ("dcgan", version.folder)
    with pytest.raises(UsageError, match="no model is published there") as error:
        published_source("dcgan", models)
    assert "dcgan-faces" in error.value.hint
    with pytest.raises(UsageError, match="Unknown recipe 'dcgan-face'"):
        published_source("dcgan-face", models)


def test_a_recipe_of_ones_own_is_found_in_its_folder(publish, models, own_recipe, empty_directory):
    version = publish("mine-shapes", recipe="mine")
    assert recipe_of(version) is None
    own_recipe("mine", under=empty_directory)
    assert recipe_of(version).name == "mine"


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("image_classification-photo", "image_classification-photos"),
        ("slot_fillin", "slot_filling"),
    ],
)
def test_the_nearest_of_recipes_and_published_models_is_suggested(publish, models, typed, nearest):
    publish("image_classification-photos")
    with pytest.raises(UsageError, match=f"Unknown recipe '{typed}'") as caught:
        published_source(typed, models)
    assert caught.value.hint == f"Did you mean '{nearest}'?"
