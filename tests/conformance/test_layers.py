"""What every public layer must be able to do, one case a layer."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes import layers

FEATURES = 3


class Case(NamedTuple):
    """How to build a layer by keyword arguments, and what one position of its input is."""

    make: Callable[..., keras.layers.Layer]
    position: tuple[int, ...] = (FEATURES,)
    ids: int | None = None
    call: Callable = lambda layer, x: layer(x)


def recurrent(cell, **kwargs):
    return lambda **more: keras.layers.RNN(cell(**kwargs, **more), return_sequences=True, **more)


CASES = {
    "ContextWindow": Case(lambda **kwargs: layers.ContextWindow(1, 2, **kwargs)),
    "EnsembleMean": Case(layers.EnsembleMean, call=lambda layer, x: layer([x, 3 * x])),
    "JordanCell": Case(recurrent(layers.JordanCell, units=4, output_units=2)),
    "LinearChainCRF": Case(
        lambda **kwargs: layers.LinearChainCRF(FEATURES, "random_normal", **kwargs)
    ),
    "OneOfN": Case(lambda **kwargs: layers.OneOfN(6, **kwargs), position=(), ids=6),
    "PeepholeLSTMCell": Case(recurrent(layers.PeepholeLSTMCell, units=4)),
    "WordDropout": Case(lambda **kwargs: layers.WordDropout(0.5, seed=1, **kwargs), (), 6),
    "WordHashing": Case(lambda **kwargs: layers.WordHashing(6, 4, **kwargs), position=(4,), ids=6),
}

each_layer = pytest.mark.parametrize("name", layers.__all__)


def inputs(case: Case, batch: int = 2, time: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = (batch, time, *case.position)
    if case.ids is not None:
        return rng.integers(0, case.ids, shape).astype("int32")
    return rng.normal(size=shape).astype("float32")


def model(case: Case, **kwargs) -> keras.Model:
    dtype = "float32" if case.ids is None else "int32"
    x = keras.Input((None, *case.position), dtype=dtype)
    return keras.Model(x, case.call(case.make(**kwargs), x))


def public_layer(layer):
    return getattr(layer, "cell", layer)


def test_every_public_layer_has_a_case():
    assert set(CASES) == set(layers.__all__)


@each_layer
def test_config_holds_every_argument_and_rebuilds_the_layer(name):
    layer = public_layer(CASES[name].make())
    config = layer.get_config()
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(config)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is getattr(layers, name)
    assert again.get_config() == config


@each_layer
def test_batch_and_time_may_be_unknown_and_sentences_do_not_mix(name):
    case = CASES[name]
    whole = model(case)
    for batch, time in ((2, 5), (3, 7), (1, 1)):
        x = inputs(case, batch, time)
        y = keras.ops.convert_to_numpy(whole(x))
        assert y.shape[:2] == (batch, time)
        assert y.shape[2:] == tuple(whole.output_shape[2:])
        np.testing.assert_allclose(keras.ops.convert_to_numpy(whole(x[:1])), y[:1], atol=1e-6)


@each_layer
def test_reloaded_keras_file_gives_equal_outputs(name, tmp_path):
    whole = model(CASES[name])
    x = inputs(CASES[name])
    whole.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.array(again(x)), np.array(whole(x)))


@each_layer
def test_exported_saved_model_gives_equal_outputs(name, tmp_path):
    whole = model(CASES[name])
    whole.export(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for batch, time in ((2, 5), (3, 7)):
        x = inputs(CASES[name], batch, time)
        np.testing.assert_allclose(np.array(served.serve(x)), np.array(whole(x)), atol=1e-6)


@each_layer
def test_mixed_precision_gives_finite_outputs_near_the_exact_ones(name):
    exact = model(CASES[name])
    mixed = model(CASES[name], dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    x = inputs(CASES[name])
    y = np.array(keras.ops.cast(mixed(x), "float32"))
    # bfloat16 has 8 bits of precision.
    np.testing.assert_allclose(y, np.array(exact(x)), atol=0.05)


@each_layer
def test_every_weight_receives_a_finite_gradient(name, assert_every_weight_learns):
    whole = model(CASES[name])
    if not whole.trainable_weights:
        pytest.skip("the layer has no weights")
    x = inputs(CASES[name])

    def loss():
        y = whole(x, training=True)
        upstream = np.random.default_rng(1).normal(size=y.shape).astype("float32")
        return keras.ops.sum(y * upstream)

    assert_every_weight_learns(whole, loss)


@each_layer
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Call arguments", "Returns", "Raises", "Example", "Reference")
    assert_documented(getattr(layers, name), sections)
