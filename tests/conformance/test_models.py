"""Every public model builder keeps its contract; each has cases in `model_cases`."""

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
    model_inputs,
    on_tensorflow,
    saved_and_loaded,
)

from dlrecipes import models

CASES = load_cases("model_cases")

# The quick tests run the first case of each builder.
FIRST = {case.builder: name for name, case in reversed(CASES.items())}
# Recipes publish these models by default: the quick tests convert them to LiteRT.
PUBLISHED = {
    *("character_lm", "dcgan_generator", "ensemble", "facenet_small", "lenet5", "pix2pix_unet"),
    *("small_cnn", "small_resnet", "tagger"),
}


def reads_images(case):
    return any(len(value.shape) == 4 for value in case.arrays(1, case.sizes[0]).values())


def each_case(builders=FIRST, capable=lambda case: True):
    """Parametrizes by the cases that are capable; all but the builders' first are slow."""
    quick = {FIRST[builder] for builder in builders}
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(name, marks=() if name in quick else pytest.mark.slow)
            for name, case in CASES.items()
            if capable(case)
        ],
    )


@lru_cache(maxsize=1)
def shared_model(name):
    return SharedModel(CASES[name])


@pytest.fixture
def shared(name):
    """Returns the model that the tests of a case share."""
    model = shared_model(name)
    yield model
    model.assert_unchanged()


def test_every_public_builder_has_a_case():
    assert {case.builder for case in CASES.values()} == set(models.__all__)


@each_case()
def test_builder_returns_an_uncompiled_model_with_names(shared):
    model, case = shared.model, shared.case
    assert isinstance(model, keras.Model)
    assert not model.compiled
    assert model.name == inspect.signature(getattr(models, case.builder)).parameters["name"].default
    assert {tensor.name for tensor in model.inputs} == set(shared.arrays(1))
    symbolic = {tensor.name: tensor for tensor in model.inputs}
    outputs = model(model_inputs(model, symbolic))
    assert case.outputs == (tuple(outputs) if isinstance(outputs, dict) else ())


@each_case()
def test_batch_and_size_may_vary_and_examples_are_independent(shared):
    assert_sizes_may_vary(shared)


@each_case(capable=reads_images)
def test_images_are_channels_last_even_if_keras_is_configured_otherwise(shared):
    arguments = shared.case.arguments()
    keras.config.set_image_data_format("channels_first")
    try:
        model = getattr(models, shared.case.builder)(**arguments)
        model.set_weights(shared.weights)
        outputs = model(model_inputs(model, shared.arrays()))
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    assert_equal(outputs, shared.outputs(), atol=0, rtol=0)


@each_case()
def test_reloaded_keras_file_gives_equal_outputs(shared, tmp_path):
    shared.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    outputs = again(model_inputs(again, shared.arrays()))
    assert_equal(outputs, shared.outputs(), atol=0, rtol=0)


# Slow because the LiteRT model is also read from a SavedModel.
@pytest.mark.slow
@on_tensorflow
@each_case()
def test_exported_saved_model_gives_equal_outputs(shared, tmp_path):
    served = saved_and_loaded(shared.model, tmp_path)
    for batch, size in zip((3, 2), shared.case.sizes, strict=False):
        x = model_inputs(shared.model, shared.arrays(batch, size))
        assert_equal(served.serve(x), shared.outputs(batch, size), atol=1e-5)


@on_tensorflow
@each_case(PUBLISHED)
def test_lite_runs_it_with_built_in_ops_and_gives_equal_outputs(shared, tmp_path):
    case = shared.case
    sizes = case.sizes if case.any_size else case.sizes[:1]
    examples = [shared.arrays(1, size) for size in sizes]
    assert_lite_agrees(shared.model, examples, tmp_path, sizes_known=not case.any_size)


@each_case()
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(shared):
    case = shared.case
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = case.build()
    finally:
        keras.config.set_dtype_policy(policy)
    assert "bfloat16" in {layer.compute_dtype for layer in mixed.layers if layer.weights}
    mixed.set_weights(shared.weights)
    actual = as_dict(mixed(model_inputs(mixed, shared.arrays())))
    expected = dict(shared.outputs())
    for output, reason in case.discontinuous.items():
        assert reason
        low, high = actual.pop(output), expected.pop(output)
        assert low.shape == high.shape
        assert np.isfinite(low).all()
    # bfloat16 has 8 bits of precision.
    assert_equal(actual, expected, atol=case.tolerance, rtol=case.tolerance)


@each_case()
def test_every_weight_receives_a_finite_gradient(shared):
    assert_every_weight_has_gradient(shared)


@pytest.mark.parametrize("name", models.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(models, name), sections)
