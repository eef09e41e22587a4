"""Every recipe repeats small data, and a resumed run sees the same batches."""

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.recipe import registry

SMALL = {
    "slot_filling": {"examples": 100, "units": 4, "word_units": 4, "ngram_units": 4},
    "poem_generation": {"examples": 100, "units": 4, "embedding_units": 4, "depth": 1},
    "pix2pix": {"examples": 8, "size": 32, "filters": 2, "adversarial": False},
    "text": {"units": 4, "embedding_units": 4, "depth": 1, "window": 8, "batch_size": 4},
}


def batches_of(name, folder, start_epoch, **settings):
    """Returns a recipe's first batches from an epoch on, and the steps of one epoch."""
    values = {**SMALL[name], **settings}
    if name == "text":
        (folder / "text.txt").write_text("A small text, read again and again. " * 20)
        name, values = "poem_generation", {**values, "data": str(folder / "text.txt")}
    source = registry.find(name)
    recipe = source.recipe()(source.config()(**values), name)
    splits = recipe.load_data()
    model = recipe.build(splits)
    dataset, steps = recipe.dataset(model, splits.train, start_epoch)
    return [tf.nest.flatten(batch) for batch in dataset.take(2 * steps + 1)], steps


@pytest.mark.parametrize("name", SMALL)
def test_an_epoch_has_whole_passes_over_small_data(name, tmp_path):
    _, once = batches_of(name, tmp_path, 0, min_steps_per_epoch=1)
    least = 2 * once + 1
    first, steps = batches_of(name, tmp_path, 0, min_steps_per_epoch=least)
    # Whole passes, and no more of them than are needed.
    assert steps == 3 * once >= least > steps - once
    second, _ = batches_of(name, tmp_path, 1, min_steps_per_epoch=least)
    for expected, actual in zip(first[steps], second[0], strict=True):
        np.testing.assert_array_equal(expected, actual)


def test_every_recipe_has_the_setting():
    for source in registry.sources():
        assert "min_steps_per_epoch" in source.config().model_fields, source.name


@pytest.mark.parametrize(
    ("name", "examples"), [("slot_filling", 20_000), ("poem_generation", 3000), ("pix2pix", 800)]
)
def test_the_built_in_data_are_not_repeated(name, examples):
    config = registry.find(name).config()()
    assert config.examples == examples
    assert -(-examples // config.batch_size) >= config.min_steps_per_epoch
