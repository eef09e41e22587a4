"""Every public layer keeps its contract; each has a case in `layer_cases`."""

import inspect
from functools import lru_cache

import keras
import numpy as np
import pytest
from contract import (
    SharedModel,
    as_dict,
    assert_equal,
    assert_every_weight_has_gradient,
    assert_lite_agrees,
    assert_sizes_may_vary,
    load_cases,
    on_tensorflow,
    saved_and_loaded,
)

from dlrecipes import layers

CASES = load_cases("layer_cases")
TRAINABLE = {name for name, case in CASES.items() if case.trainable}
# Layers with loops, or with LiteRT operations that few models have.
LOOPS = {
    "HopfieldNetwork",
    "LinearChainCRF",
    "LSTM",
    "NonMaxSuppression",
    "PeepholeLSTM",
    "SimpleRNN",
}


def each_layer(names=CASES, quick=CASES):
    """Parametrizes by cases in a fixed order; those that are not quick are slow."""
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(name, marks=() if name in quick else pytest.mark.slow)
            for name in CASES
            if name in names
        ],
    )


@lru_cache(maxsize=1)
def shared_model(name):
    return SharedModel(CASES[name])


@pytest.fixture
def shared(name):
    """Returns the model that the tests of a case share."""
    model = shared_model(name)
    assert bool(model.model.trainable_weights) == CASES[name].trainable
    yield model
    model.assert_unchanged()


def test_every_public_layer_has_a_case():
    assert set(CASES) == set(layers.__all__)


@each_layer()
def test_config_holds_every_argument_and_rebuilds_the_layer(name):
    layer = CASES[name].public(CASES[name].make())
    config = layer.get_config()
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(config)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is getattr(layers, name)
    assert again.get_config() == config


@each_layer()
def test_batch_and_sizes_may_vary_and_examples_are_independent(shared):
    assert_sizes_may_vary(shared)


@each_layer([name for name, case in CASES.items() if case.masked])
def test_masked_padding_leaves_earlier_outputs_unchanged(name):
    case = CASES[name]
    layer = case.make()
    padded = case.arrays(2, 7)["input_0"]
    mask = np.arange(7) < 4
    masks = keras.ops.convert_to_tensor(np.stack([mask, mask]))
    y = as_dict(layer(padded, mask=masks))["0"][:, :4]
    np.testing.assert_allclose(y, as_dict(layer(padded[:, :4]))["0"], atol=1e-6)


@each_layer()
def test_reloaded_keras_file_gives_equal_outputs(shared, tmp_path):
    shared.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(again(shared.arrays()), shared.outputs(), atol=0, rtol=0)


@each_layer(TRAINABLE)
def test_frozen_layer_is_frozen_after_reloading(shared, tmp_path):
    model = shared.model
    try:
        for layer in model.layers:
            layer.trainable = False
        model.save(tmp_path / "model.keras")
        assert keras.models.clone_model(model).trainable_weights == []
    finally:
        for layer in model.layers:
            layer.trainable = True
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.weights
    assert again.trainable_weights == []


# Slow because the LiteRT model is also read from a SavedModel.
@pytest.mark.slow
@on_tensorflow
@each_layer()
def test_exported_saved_model_gives_equal_outputs(shared, tmp_path):
    served = saved_and_loaded(shared.model, tmp_path)
    for batch, size in zip((3, 2), shared.case.sizes, strict=False):
        outputs = shared.outputs(batch, size)
        assert_equal(served.serve(shared.arrays(batch, size)), outputs, atol=1e-5)


# Most layers are part of a model that the quick tests convert.
@on_tensorflow
@each_layer(quick=LOOPS)
def test_lite_runs_it_with_built_in_ops_and_gives_equal_outputs(shared, tmp_path):
    examples = [shared.arrays(1, size) for size in shared.case.sizes]
    assert_lite_agrees(shared.model, examples, tmp_path)


@each_layer()
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(shared):
    mixed = shared.case.build(dtype="mixed_bfloat16")
    mixed.set_weights(shared.weights)
    # bfloat16 has 8 bits of precision.
    tolerance = shared.case.tolerance
    assert_equal(mixed(shared.arrays()), shared.outputs(), atol=tolerance, rtol=tolerance)


@each_layer(TRAINABLE)
def test_every_weight_receives_a_finite_gradient(shared):
    assert_every_weight_has_gradient(shared)


@pytest.mark.parametrize("name", layers.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Call arguments", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(layers, name), sections)
