"""What every public layer must be able to do, one case a layer (in `layer_cases`)."""

import inspect

import keras
import numpy as np
import pytest
from contract import (
    LayerCase,
    as_dict,
    assert_equal,
    assert_every_weight_learns,
    assert_lite_agrees,
    cases,
    on_tensorflow,
    saved_and_loaded,
)

from dlrecipes import layers

CASES = cases("layer_cases")

# Those with loops or parts of LiteRT that few models have.
LOOPS = (
    "HopfieldNetwork",
    "LinearChainCRF",
    "LSTM",
    "NonMaxSuppression",
    "PeepholeLSTM",
    "SimpleRNN",
)
each_layer = pytest.mark.parametrize("name", layers.__all__)


def arrays(case: LayerCase, batch: int = 2, size: int | None = None) -> dict[str, np.ndarray]:
    size = case.sizes[0] if size is None else size
    rng = np.random.default_rng(0)
    shapes = [(batch, *(size if axis is None else axis for axis in one)) for one in case.shapes]
    if case.data is not None:
        values = case.data(rng, shapes)
    elif case.ids is not None:
        values = [rng.integers(0, case.ids, shape).astype("int32") for shape in shapes]
    else:
        values = [rng.normal(size=shape).astype("float32") for shape in shapes]
    return {f"input_{index}": value for index, value in enumerate(values)}


def model(case: LayerCase, **kwargs) -> keras.Model:
    dtypes = [value.dtype for value in arrays(case).values()]
    inputs = {
        f"input_{index}": keras.Input(shape, dtype=str(dtype), name=f"input_{index}")
        for index, (shape, dtype) in enumerate(zip(case.shapes, dtypes, strict=True))
    }
    return keras.Model(inputs, case.call(case.make(**kwargs), list(inputs.values())))


def test_every_public_layer_has_a_case():
    assert set(CASES) == set(layers.__all__)


@each_layer
def test_config_holds_every_argument_and_rebuilds_the_layer(name):
    layer = CASES[name].public(CASES[name].make())
    config = layer.get_config()
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(config)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is getattr(layers, name)
    assert again.get_config() == config


@each_layer
def test_batch_and_sizes_may_be_unknown_and_examples_do_not_mix(name):
    case = CASES[name]
    whole = model(case)
    symbolic = keras.tree.flatten(whole.output)
    for batch, size in zip((2, 3, 1), case.sizes, strict=False):
        x = arrays(case, batch, size)
        outputs = as_dict(whole(x))
        for y, tensor in zip(outputs.values(), symbolic, strict=True):
            assert len(y.shape) == len(tensor.shape)
            for found, expected in zip(y.shape, tensor.shape, strict=True):
                assert expected is None or found == expected
        if case.independent:
            first = as_dict(whole({key: value[:1] for key, value in x.items()}))
            assert_equal(first, {key: y[:1] for key, y in outputs.items()}, atol=1e-5)


@each_layer
def test_padding_behind_the_mask_changes_nothing_before_it(name):
    case = CASES[name]
    if not case.masked:
        pytest.skip("no axis that a mask could run over")
    layer = case.make()
    padded = arrays(case, 2, 7)["input_0"]
    mask = np.arange(7) < 4
    masks = keras.ops.convert_to_tensor(np.stack([mask, mask]))
    y = as_dict(layer(padded, mask=masks))["0"][:, :4]
    np.testing.assert_allclose(y, as_dict(layer(padded[:, :4]))["0"], atol=1e-6)


@each_layer
def test_reloaded_keras_file_gives_equal_outputs(name, tmp_path):
    whole = model(CASES[name])
    whole.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = arrays(CASES[name])
    assert_equal(again(x), whole(x), atol=0, rtol=0)


@each_layer
def test_a_frozen_layer_is_frozen_after_reloading(name, tmp_path):
    whole = model(CASES[name])
    if not whole.trainable_weights:
        pytest.skip("the layer has no weights")
    for layer in whole.layers:
        layer.trainable = False
    whole.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.trainable_weights == []
    assert keras.models.clone_model(whole).trainable_weights == []


# What LiteRT runs was read from a SavedModel, too.
@pytest.mark.slow
@on_tensorflow
@each_layer
def test_exported_saved_model_gives_equal_outputs(name, tmp_path):
    case = CASES[name]
    whole = model(case)
    served = saved_and_loaded(whole, tmp_path)
    for batch, size in zip((2, 3), case.sizes, strict=False):
        x = arrays(case, batch, size)
        assert_equal(served.serve(x), whole(x), atol=1e-5)


# Most layers are in models, which are tried so by the quick tests.
@on_tensorflow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in LOOPS else pytest.mark.slow)
        for name in layers.__all__
    ],
)
def test_lite_runs_it_with_built_in_ops_and_gives_equal_outputs(name, tmp_path):
    case = CASES[name]
    if case.not_lite:
        pytest.skip(case.not_lite)
    assert_lite_agrees(model(case), [arrays(case, 1, size) for size in case.sizes], tmp_path)


@each_layer
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(name):
    case = CASES[name]
    exact = model(case)
    mixed = model(case, dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    x = arrays(case)
    # bfloat16 has 8 bits of precision.
    assert_equal(mixed(x), exact(x), atol=case.tolerance, rtol=case.tolerance)


@each_layer
def test_every_weight_receives_a_finite_gradient(name):
    case = CASES[name]
    whole = model(case)
    if not whole.trainable_weights:
        pytest.skip("the layer has no weights")
    for part, reason in case.not_learning.items():
        assert reason
        assert any(part in weight.path for weight in whole.trainable_weights), part
    assert_every_weight_learns(whole, arrays(case), case.not_learning)


@each_layer
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Call arguments", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(layers, name), sections)
