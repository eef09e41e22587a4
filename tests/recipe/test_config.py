"""Settings that have an effect are listed, and those without one are refused with the reason."""

from typing import ClassVar

import pytest

from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, registry, setting
from dlrecipes.recipe.options import settings

NAMES = [source.name for source in registry.sources()]


class Config(RecipeConfig):
    """Settings of a recipe that never stops early."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("subject", "images")
    reading_settings: ClassVar[tuple[str, ...]] = ("column",)
    unused_settings: ClassVar[dict[str, str]] = {"patience": "the last epoch is kept"}
    builtin_kind: ClassVar[str] = "subject"

    subject: str = setting("digits", "Subject of the built-in images.")
    images: int = setting(10, "Built-in images.", ge=1)
    column: int = setting(0, "Column of the labels.", ge=0)


@pytest.mark.parametrize(
    ("data", "idle"),
    [
        ("builtin", {"patience", "data_dir", "column"}),
        ("photos", {"patience", "data_dir", "subject", "images"}),
        ("tfds:mnist", {"patience", "subject", "images"}),
    ],
)
def test_settings_of_other_data_have_no_effect(data, idle):
    assert set(Config(data=data).without_effect()) == idle


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, ""),
        ({"images": 20}, ""),
        ({"subject": "faces"}, "faces"),
        ({"data": "photos/cats"}, "cats"),
        ({"data": "tfds:mnist"}, "mnist"),
    ],
)
def test_data_of_another_kind_than_the_default_name_the_model(values, name):
    assert Config(**values).data_name() == name


def test_a_setting_that_the_recipe_never_uses_is_not_listed_and_refused():
    assert "patience" not in [about.name for about in settings(Config)]
    with pytest.raises(UsageError, match="no effect: --patience: the last epoch is kept"):
        Config.parse({"patience": "3"}).check_effect({"patience"}, "mine")
    with pytest.raises(UsageError, match="patience: 'x' is not an integer >= 1"):
        Config.parse({"patience": "x"})


def test_stored_settings_have_those_that_are_never_used():
    """Runs that stored them are still read."""
    assert Config.parse({"patience": 2}) == Config(patience=2)


@pytest.mark.parametrize("name", NAMES)
def test_patience_is_listed_where_training_stops_early(name):
    source = registry.find(name)
    names = {about.name for about in settings(source.config())}
    recipe = source.make(source.config()())
    assert ("patience" in names) == (recipe.monitor is not None)


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_of_tfds_datasets_is_listed_where_they_are_read(name):
    source = registry.find(name)
    names = {about.name for about in settings(source.config())}
    data = (source.folder / "data.py").read_text(encoding="utf-8")
    assert ("data_dir" in names) == ("tfds" in data)


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_are_declared_for_some_data_exist(name):
    config = registry.find(name).config()
    declared = (*config.builtin_settings, *config.reading_settings, *config.unused_settings)
    assert config.builtin_kind in ("", *config.builtin_settings)
    assert set(declared) <= set(config.model_fields)
    assert not set(config.unused_settings) & set(config.data_options())
