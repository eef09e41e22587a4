"""Truncated backpropagation of texts that continue from batch to batch."""

import keras
import numpy as np
import pytest
from bptt_case import BATCH, assert_same_arrays, assert_same_weights, compiled, fit, network
from trainer_contract import SharedTrainer, TrainerCase

from dlrecipes import layers
from dlrecipes.data.streams import stream_batches
from dlrecipes.layers import _cpu_recurrence
from dlrecipes.models import sequence_model
from dlrecipes.training import TruncatedBPTT

# Streams.


TEXT = np.random.default_rng(2).integers(0, 6, 121).astype("int32")


def text_model(streams):
    net = sequence_model(
        "many_to_many", 6, num_ids=6, embedding_units=3, units=4, depth=1, cell="elman"
    )
    model = TruncatedBPTT(net, 5, streams=streams)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    return model


@pytest.fixture(scope="module")
def text_models():
    """Returns a function that gives one trainer per number of streams, as it was at first."""
    trainers = {
        streams: SharedTrainer(TrainerCase(lambda streams=streams: text_model(streams), None))
        for streams in (None, 4)
    }
    return lambda streams: trainers[streams].fresh()


def test_streams_continue_from_batch_to_batch_and_restart_each_epoch(text_models):
    """Six batches of one chunk are one batch of six chunks."""
    whole, streamed = text_models(None), text_models(4)
    for epochs in (1, 2):
        expected, history = (
            model.fit(stream_batches(TEXT, 4, length), epochs=epochs, verbose=0).history
            for model, length in ((whole, 30), (streamed, 5))
        )
        assert_same_weights(whole.network, streamed.network)
        assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    # Without streams every chunk starts from zero, which gives other weights.
    weights = []
    for streams in (None, 4):
        model = text_models(streams)
        model.fit(stream_batches(TEXT, 4, 5), verbose=0)
        weights.append(model.network.get_weights())
    assert any(np.abs(a - b).max() > 1e-5 for a, b in zip(*weights, strict=True))


def test_evaluation_of_streams_equals_evaluation_of_the_whole_text(text_models):
    expected = text_models(None).evaluate(stream_batches(TEXT, 4, 30), verbose=0)
    streamed = text_models(4)
    for _ in range(2):
        loss = streamed.evaluate(stream_batches(TEXT, 4, 5), verbose=0)
        assert loss == pytest.approx(expected)


def test_validation_leaves_the_training_unchanged(text_models):
    data = stream_batches(TEXT, 4, 5)
    weights = []
    for validation in (None, data):
        model = text_models(4)
        model.fit(data, epochs=2, validation_data=validation, verbose=0)
        weights.append(model.network.get_weights())
    assert_same_arrays(*weights, atol=0)


def test_streams_reject_other_batch_sizes_and_shuffling(text_models):
    with pytest.raises(ValueError, match=r"as there are streams: 4\. One has 2"):
        text_model(4).fit(stream_batches(TEXT, 2, 5), verbose=0)
    model = text_models(4)
    ids = TEXT[:120].reshape(24, 5)
    with pytest.raises(ValueError, match="fit needs shuffle=False"):
        model.fit(ids, ids, batch_size=4, verbose=0)
    assert fit(model, ids, ids)["loss"]
    with pytest.raises(ValueError, match=r"as there are streams: 4\.$"):
        fit(model, ids[:10], ids[:10])


# Speed, sample weights, saving, mistakes.


@pytest.mark.parametrize("streams", [None, BATCH])
def test_chunks_run_the_fast_recurrence_unrolled_in_the_graph(streams, monkeypatch):
    unrolled = []

    class Loop(_cpu_recurrence._Loop):
        def __init__(self, order, *args):
            assert order.single
            unrolled.append(order.chunk)
            super().__init__(order, *args)

    monkeypatch.setattr(_cpu_recurrence, "_Loop", Loop)
    deep = network(layers.LSTM, layers.LSTM, units=3)
    fit(compiled(TruncatedBPTT(deep, 4, streams=streams)))
    # Two layers, in the loop's body and in the shorter chunk after it.
    assert sorted(unrolled) == [2, 2, 4, 4]


# `conformance/test_trainers.py` continues the training of a saved trainer.
def test_saved_trainer_keeps_window_and_streams(tmp_path):
    text_model(4).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.window, again.streams) == (5, 4)
