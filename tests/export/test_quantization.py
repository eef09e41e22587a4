"""Quantization to int8, including recurrent networks at lengths without a calibration example."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export import quantization
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.signatures import Signature
from dlrecipes.layers import LinearChainCRF

UNITS, TAGS = 64, 5


@pytest.fixture(scope="module")
def tagger():
    keras.utils.set_random_seed(0)
    # Input and weights make the states fill their ranges, as they do after training.
    inputs = keras.Input((None, 8), name="x")
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))(inputs)
    network = keras.Model(inputs, keras.layers.Dense(TAGS, kernel_initializer="normal")(hidden))
    network.layers[-1].kernel.assign(network.layers[-1].kernel * 100)
    crf = LinearChainCRF(TAGS)
    crf.build((None, None, TAGS))
    return network, crf


def examples(lengths):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(1, length, 8)).astype("float32"),) for length in lengths]


def signature_of(tagger):
    network, crf = tagger

    def decode(x):
        scores = network(x)
        return {"scores": scores, "tags": crf.decode(scores)}

    return Signature(decode, [tf.TensorSpec([1, None, 8], tf.float32, name="x")], examples([6]))


@pytest.fixture(scope="module")
def lite(tagger, tmp_path_factory):
    folder = tmp_path_factory.mktemp("litert")
    models = {}
    for kind in ("float32", "int8"):
        path = folder / f"{kind}.tflite"
        path.write_bytes(convert(signature_of(tagger), kind, examples([12, 3, 30, 7, 20])))
        models[kind] = LiteRTModel(path), path.read_bytes()
    return models


def test_weights_in_loops_are_quantized(lite):
    # Two LSTMs with four gates, in 4 bytes or 1. The rest of the file is the graph.
    weights = 2 * 4 * UNITS * (8 + UNITS)
    saved = len(lite["float32"][1]) - len(lite["int8"][1])
    assert saved > 0.75 * 3 * weights


@pytest.mark.parametrize("length", [1, 5, 60])
def test_scores_are_close_at_lengths_without_an_example(lite, tagger, length):
    ((x,),) = examples([length])
    scores, expected = lite["int8"][0](x=x)["scores"], np.asarray(tagger[0](x))
    # Several steps of 1/128 of the range, for each of the states and for the sum.
    assert 0 < np.abs(scores - expected).max() < 0.15 * np.abs(expected).max()
    np.testing.assert_allclose(lite["float32"][0](x=x)["scores"], expected, atol=1e-3)


def test_the_sums_of_a_crf_stay_float(lite, tagger):
    # After 200 steps, Viterbi's sums are hundreds of times larger than the margin between tags.
    ((x,),) = examples([200])
    tags, expected = lite["int8"][0](x=x)["tags"], np.asarray(tagger[1].decode(tagger[0](x)))
    assert len(np.unique(expected)) == TAGS
    assert np.mean(tags == expected) > 0.9


def test_quantization_without_examples_is_an_error(lite):
    with pytest.raises(PublishError, match="there are no examples to determine the value ranges"):
        quantization.quantize(lite["float32"][1], [])


def test_an_example_that_does_not_fit_is_reported_with_its_shape(lite):
    with pytest.raises(PublishError, match=r"cannot run an example of x \(1, 4, 9\)"):
        quantization.quantize(lite["float32"][1], [{"x": np.zeros((1, 4, 9), "float32")}])


def test_the_bytes_of_the_file_live_while_examples_run(published, monkeypatch):
    # TensorFlow's interpreter reads weights from the bytes that it was given, without a copy. If
    # they are freed, it reads other data, or ends the process.
    calibrators = []

    class Watched(quantization.Calibrator):
        def __init__(self, content):
            super().__init__(content)
            calibrators.append(weakref.ref(self))

    monkeypatch.setattr(quantization, "Calibrator", Watched)
    alive = []

    def watched_examples():
        for _ in range(3):
            yield {"x": np.ones((1, 3), "float32")}
            alive.append(calibrators[0]() is not None)
        gc.collect()
        alive.append(calibrators[0]() is not None)

    quantization.quantize((published / "model.tflite").read_bytes(), watched_examples())
    assert alive == [True] * 4
