"""What every public model builder must be able to do, one case or more (in `model_cases`)."""

import inspect

import keras
import numpy as np
import pytest
from contract import (
    ModelCase,
    as_dict,
    assert_equal,
    assert_every_weight_learns,
    assert_lite_agrees,
    cases,
    given,
    on_tensorflow,
    saved_and_loaded,
)

from dlrecipes import models

CASES = cases("model_cases")

# A builder's first case is tried by the quick tests, too.
FIRST = {case.builder: name for name, case in reversed(CASES.items())}
# What recipes publish by default is converted by them as well.
PUBLISHED = {
    *("character_lm", "dcgan_generator", "ensemble", "facenet_small", "lenet5", "pix2pix_unet"),
    *("small_cnn", "tagger"),
}


def each(builders):
    """Parametrizes by cases; those that are not some builders' first are slow."""
    quick = {FIRST[builder] for builder in builders}
    marked = [
        pytest.param(case, marks=() if name in quick else pytest.mark.slow)
        for name, case in CASES.items()
    ]
    return pytest.mark.parametrize("case", marked, ids=CASES)


each_case = each(FIRST)


def build(case: ModelCase) -> keras.Model:
    kwargs = case.kwargs() if callable(case.kwargs) else case.kwargs
    return getattr(models, case.builder)(**kwargs)


def test_every_public_builder_has_a_case():
    assert {case.builder for case in CASES.values()} == set(models.__all__)


@each_case
def test_builder_gives_an_uncompiled_model_with_names(case):
    model = build(case)
    assert isinstance(model, keras.Model)
    assert not model.compiled
    assert model.name == inspect.signature(getattr(models, case.builder)).parameters["name"].default
    assert {tensor.name for tensor in model.inputs} == set(case.inputs(1, case.sizes[0]))
    outputs = model(given(model, {tensor.name: tensor for tensor in model.inputs}))
    assert case.outputs == (tuple(outputs) if isinstance(outputs, dict) else ())


@each_case
def test_batch_and_size_may_be_unknown_and_examples_do_not_mix(case):
    model = build(case)
    by_name = {tensor.name: tensor for tensor in model.inputs}
    symbolic = keras.tree.flatten(model(given(model, by_name)))
    for batch, size in zip((2, 3, 1), case.sizes, strict=False):
        x = case.inputs(batch, size)
        outputs = as_dict(model(given(model, x)))
        for y, tensor in zip(outputs.values(), symbolic, strict=True):
            assert len(y.shape) == len(tensor.shape)
            for found, expected in zip(y.shape, tensor.shape, strict=True):
                assert expected is None or found == expected
        if case.independent:
            alone = {name: value[:1] for name, value in x.items()}
            first = as_dict(model(given(model, alone)))
            assert_equal(first, {name: y[:1] for name, y in outputs.items()}, atol=1e-5)


@each_case
def test_images_are_channels_last_whatever_keras_expects(case):
    x = case.inputs(2, case.sizes[0])
    if all(len(value.shape) < 4 for value in x.values()):
        pytest.skip("reads no images")
    plain, arguments = build(case), case.kwargs() if callable(case.kwargs) else case.kwargs
    expected = {name: y.shape for name, y in as_dict(plain(given(plain, x))).items()}
    keras.config.set_image_data_format("channels_first")
    try:
        model = getattr(models, case.builder)(**arguments)
        found = {name: y.shape for name, y in as_dict(model(given(model, x))).items()}
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    assert found == expected


@each_case
def test_reloaded_keras_file_gives_equal_outputs(case, tmp_path):
    model = build(case)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = given(model, case.inputs(3, case.sizes[0]))
    assert_equal(again(x), model(x), atol=0, rtol=0)


# What LiteRT runs was read from a SavedModel, too.
@pytest.mark.slow
@on_tensorflow
@each_case
def test_exported_saved_model_gives_equal_outputs(case, tmp_path):
    model = build(case)
    served = saved_and_loaded(model, tmp_path)
    for batch, size in zip((2, 3), case.sizes, strict=False):
        x = given(model, case.inputs(batch, size))
        assert_equal(served.serve(x), model(x), atol=1e-5)


@on_tensorflow
@each(PUBLISHED)
def test_lite_runs_it_with_built_in_ops_and_gives_equal_outputs(case, tmp_path):
    if case.not_lite:
        pytest.skip(case.not_lite)
    sizes = case.sizes if case.any_size else case.sizes[:1]
    examples = [case.inputs(1, size) for size in sizes]
    assert_lite_agrees(build(case), examples, tmp_path, sizes_known=not case.any_size)


@each_case
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(case):
    exact = build(case)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build(case)
    finally:
        keras.config.set_dtype_policy(policy)
    assert "bfloat16" in {layer.compute_dtype for layer in mixed.layers if layer.weights}
    mixed.set_weights(exact.get_weights())
    x = given(exact, case.inputs(3, case.sizes[0]))
    ours, theirs = mixed(x), exact(x)
    for output, reason in case.discontinuous.items():
        assert reason
        low, high = (as_dict({output: outputs.pop(output)})[output] for outputs in (ours, theirs))
        assert low.shape == high.shape
        assert np.isfinite(low).all()
    # bfloat16 has 8 bits of precision.
    assert_equal(ours, theirs, atol=case.tolerance, rtol=case.tolerance)


@each_case
def test_every_weight_receives_a_finite_gradient(case):
    model = build(case)
    for part, reason in case.not_learning.items():
        assert reason
        assert any(part in weight.path for weight in model.trainable_weights), part
    assert_every_weight_learns(model, case.inputs(3, case.sizes[0]), case.not_learning)


@pytest.mark.parametrize("name", models.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(models, name), sections)
