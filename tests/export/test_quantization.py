"""LiteRT files of 8 bits: recurrent networks too, at lengths that no example had."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export import quantization
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.layers import LinearChainCRF
from dlrecipes.recipe import Signature

UNITS, TAGS = 64, 5


@pytest.fixture(scope="module")
def tagger():
    keras.utils.set_random_seed(0)
    # Input and weights are such that states fill their ranges, as they do once trained.
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


def endpoint(tagger):
    network, crf = tagger

    def answer(x):
        scores = network(x)
        return {"scores": scores, "tags": crf.decode(scores)}

    return Signature(answer, [tf.TensorSpec([1, None, 8], tf.float32, name="x")], examples([6]))


@pytest.fixture(scope="module")
def lite(tagger, tmp_path_factory):
    folder = tmp_path_factory.mktemp("litert")
    found = {}
    for kind in ("float32", "int8"):
        path = folder / f"{kind}.tflite"
        path.write_bytes(convert(endpoint(tagger), kind, examples([12, 3, 30, 7, 20])))
        found[kind] = LiteRTModel(path), path.stat().st_size
    return found


def test_loops_are_of_8_bits_too(lite):
    # Of two LSTMs four gates each, in 4 bytes or 1: all but these weights is the graph.
    weights = 2 * 4 * UNITS * (8 + UNITS)
    saved = lite["float32"][1] - lite["int8"][1]
    assert saved > 0.75 * 3 * weights


@pytest.mark.parametrize("length", [1, 5, 60])
def test_scores_are_nearly_the_same_at_lengths_that_no_example_had(lite, tagger, length):
    ((x,),) = examples([length])
    found, wanted = lite["int8"][0](x=x)["scores"], np.asarray(tagger[0](x))
    # Some steps of 1/128 of the range, of each of the states and of the sum.
    assert 0 < np.abs(found - wanted).max() < 0.15 * np.abs(wanted).max()


def test_what_a_crf_sums_up_stays_whole(lite, tagger):
    # Over 200 places Viterbi's sums are hundreds of times what tells two tags apart.
    ((x,),) = examples([200])
    found, wanted = lite["int8"][0](x=x)["tags"], np.asarray(tagger[1].decode(tagger[0](x)))
    assert len(np.unique(wanted)) == TAGS
    assert np.mean(found == wanted) > 0.9


def test_without_examples_there_are_no_ranges(tagger):
    with pytest.raises(PublishError, match="there is no example to take ranges from"):
        convert(endpoint(tagger), "int8")


def test_an_example_that_does_not_fit_is_told_with_its_shape(tagger):
    with pytest.raises(PublishError, match=r"cannot run an example of x \(1, 4, 9\)"):
        convert(endpoint(tagger), "int8", [(np.zeros((1, 4, 9), "float32"),)])


def test_the_bytes_of_the_file_are_kept_while_examples_run(monkeypatch):
    # TensorFlow's interpreter reads weights in the very bytes that it was given: where nothing
    # else keeps them, it computes of what came to lie there since, or ends the process.
    made = []

    class Watched(quantization.Calibrator):
        def __init__(self, content):
            super().__init__(content)
            made.append(weakref.ref(self))

    monkeypatch.setattr(quantization, "Calibrator", Watched)
    kept = []

    def seen():
        for _ in range(3):
            yield {"x": np.ones((1, 4), "float32")}
            gc.collect()
            kept.append(made[0]() is not None)

    dense = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(2)])
    spec = [tf.TensorSpec([None, 4], tf.float32, name="x")]
    content = convert(Signature(lambda x: {"y": dense(x)}, spec, [(np.ones((1, 4), "float32"),)]))
    quantization.quantize(content, seen())
    assert kept == [True] * 3
