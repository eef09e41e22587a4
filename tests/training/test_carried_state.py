"""A recurrent network that runs in chunks gives the outputs of the whole sequence."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as own

from dlrecipes import layers
from dlrecipes.models import sequence_model
from dlrecipes.training.carried_state import CarriedState

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 9, 2)).astype("float32")

STACKED = {
    "LSTM": lambda **k: layers.LSTM(4, **k),
    "SimpleRNN": lambda **k: layers.SimpleRNN(4, **k),
    "PeepholeLSTM": lambda **k: layers.PeepholeLSTM(4, **k),
    "Keras LSTM": lambda **k: own.LSTM(4, **k),
    "Keras SimpleRNN": lambda **k: own.SimpleRNN(4, **k),
    "Keras GRU": lambda **k: own.GRU(4, **k),
    "Keras RNN": lambda **k: own.RNN([own.GRUCell(3), own.LSTMCell(4)], **k),
}


def two_layers(make):
    inputs = keras.Input((None, 2))
    hidden = make(return_sequences=True)(inputs)
    return keras.Model(inputs, make(return_sequences=True)(hidden))


def run_in_chunks(run, x, sizes, training):
    states, outputs, start = run.initial(len(x)), [], 0
    for size in sizes:
        output, states = run(x[:, start : start + size], states, training=training)
        outputs.append(np.array(output))
        start += size
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", STACKED)
def test_chunks_give_the_outputs_of_the_whole_sequence(name, training):
    network = two_layers(STACKED[name])
    whole = np.array(network(X, training=training))
    np.testing.assert_allclose(
        run_in_chunks(CarriedState(network), X, [4, 1, 4], training), whole, atol=2e-6
    )


def test_layers_of_nested_and_sequential_networks_carry_their_state():
    inner = two_layers(STACKED["LSTM"])
    network = keras.Sequential([keras.Input((None, 2)), inner, own.GRU(3, return_sequences=True)])
    run = CarriedState(network)
    assert len(run.layers) == 3
    np.testing.assert_allclose(run_in_chunks(run, X, [5, 4], False), network(X), atol=2e-6)


def test_padding_does_not_change_the_carried_state():
    network = sequence_model("many_to_many", 3, num_ids=5, units=4, depth=2, mask_zero=True)
    ids = RNG.integers(1, 5, (3, 9)).astype("int32")
    ids[0, 3:] = ids[1, 6:] = 0
    whole = np.array(network(ids))
    outputs = run_in_chunks(CarriedState(network), ids, [4, 4, 1], True)
    np.testing.assert_allclose(outputs[ids != 0], whole[ids != 0], atol=2e-6)


def test_a_layer_over_another_time_axis_carries_no_state():
    words = keras.Input((None, 5, 2))
    x = own.TimeDistributed(layers.LSTM(3))(words)
    network = keras.Model(words, layers.LSTM(4, return_sequences=True, name="outer")(x))
    assert [layer.name for layer in CarriedState(network).layers] == ["outer"]


def test_a_run_does_not_change_the_network():
    network = two_layers(STACKED["LSTM"])
    before = np.array(network(X))
    run = CarriedState(network)
    run(X, tf.nest.map_structure(tf.ones_like, run.initial(3)))
    assert not any("inner_loop" in vars(layer) for layer in run.layers)
    np.testing.assert_array_equal(network(X), before)


@pytest.mark.parametrize(
    "layer, message",
    [
        (own.Bidirectional(own.LSTM(2, return_sequences=True), name="both"), "both reads from the"),
        (own.LSTM(2, return_sequences=True, go_backwards=True, name="back"), "back reads from the"),
        (own.Dense(2), "has no recurrent layer"),
    ],
)
def test_networks_that_cannot_run_in_chunks_are_rejected(layer, message):
    inputs = keras.Input((None, 2))
    with pytest.raises(ValueError, match=message):
        CarriedState(keras.Model(inputs, layer(inputs)))


def test_a_stateful_layer_is_rejected():
    inputs = keras.Input(batch_shape=(3, None, 2))
    with pytest.raises(ValueError, match="leave out stateful=True"):
        CarriedState(keras.Model(inputs, own.LSTM(2, stateful=True)(inputs)))


def test_a_layer_used_twice_or_with_its_own_initial_state_is_rejected():
    inputs = keras.Input((None, 2))
    shared = own.SimpleRNN(2, return_sequences=True, name="shared")
    run = CarriedState(keras.Model(inputs, shared(shared(inputs))))
    with pytest.raises(ValueError, match=r"shared must run once, .* it ran 2 times"):
        run(X, run.initial(3))
    layer = own.SimpleRNN(2, return_sequences=True, name="layer")
    run = CarriedState(keras.Model(inputs, layer(inputs, initial_state=[inputs[:, 0]])))
    with pytest.raises(ValueError, match="layer must run once, from the carried state"):
        run(X, run.initial(3))
