"""TensorBoard shows the settings, results and figures of a run, each once."""

from types import SimpleNamespace

import pytest
import tensorflow as tf
from PIL import Image

from dlrecipes.recipe import RecipeConfig
from dlrecipes.recipe.base import Splits
from dlrecipes.runner import tensorboard

accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
METRICS = {
    "epochs": 4,
    "test": {"accuracy": 0.75, "pixels": {"auc": 0.5}, "by_class": {"a": 1.0}},
    "validation": {"accuracy": 0.5},
}


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """What TensorBoard reads of a run that was resumed after its results were written."""
    folder = tmp_path_factory.mktemp("run")
    recipe = SimpleNamespace(config=RecipeConfig(seed=3), metric_groups=("pixels",))
    splits = Splits([], [], [], description={"name": "shapes | lines"})
    (folder / "figures").mkdir()
    Image.new("RGB", (30, 20), "red").save(folder / "figures" / "roc.png")
    (folder / "figures" / ".partial.png").touch()
    for _ in range(2):
        tensorboard.write_results(folder, recipe, splits, METRICS)
        tensorboard.write_figures(folder, METRICS["epochs"])
    read = accumulators.EventAccumulator(str(folder / "tensorboard" / "summary"))
    return read.Reload()


def value(events, name):
    (event,) = events.Tensors(name)
    assert event.step == 4
    return event.tensor_proto


def test_settings_data_and_results_are_text(events):
    assert b"| `seed` | 3 |" in value(events, "run/settings").string_val[0]
    assert b"shapes" in value(events, "run/data").string_val[0]
    text = value(events, "run/results").string_val[0]
    assert b"| test accuracy | 0.75 |" in text
    assert b"| test pixels auc | 0.5 |" in text
    assert b"by_class" not in text


def test_figures_are_the_files_themselves(events):
    width, height, content = value(events, "figures/roc").string_val
    assert (width, height) == (b"30", b"20")
    assert content.startswith(b"\x89PNG")
    assert [name for name in events.Tags()["tensors"] if name.startswith("figures/")] == [
        "figures/roc"
    ]


def test_settings_are_hyperparameters_with_the_final_metrics(events):
    (content,) = events.PluginTagToContent("hparams").values()
    assert b"seed" in content
    assert tf.make_ndarray(value(events, "final/test accuracy")) == 0.75
