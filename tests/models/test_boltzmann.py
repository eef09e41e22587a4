import numpy as np
import pytest
from keras import ops

from dlrecipes.models import deep_belief_network, restricted_boltzmann_machine


def test_default_machine_is_the_lowest_of_the_stack():
    # The weights, the visible biases and the hidden biases.
    expected = 784 * 500 + 784 + 500
    assert restricted_boltzmann_machine().count_params() == expected == 393_284


def test_kinds_of_units_and_seed_are_passed_to_the_layer():
    layer = restricted_boltzmann_machine(3, 2, hidden="gaussian", seed=4).get_layer("rbm")
    assert (layer.visible, layer.hidden, layer.seed) == ("bernoulli", "gaussian", 4)


def test_default_stack_is_784_500_500_2000_10():
    # Hinton, Osindero and Teh 2006, figure 1, with a classifier instead of the label units.
    machines = (784 * 500 + 784 + 500) + (500 * 500 + 500 + 500) + (500 * 2000 + 500 + 2000)
    model = deep_belief_network()
    assert model.count_params() == machines + 2000 * 10 + 10 == 1_666_794
    # The second machine's visible units are the first one's hidden units.
    assert model.get_layer("rbm_2").visible_bias.shape == (500,)


def test_stack_passes_probabilities_up():
    model = deep_belief_network(3, hidden_units=(4, 2), num_classes=2)
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(5, 3)).astype("float32")
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    up = x
    for name in ("rbm_1", "rbm_2"):
        layer = model.get_layer(name)
        kernel, bias = (ops.convert_to_numpy(w) for w in (layer.kernel, layer.hidden_bias))
        up = 1 / (1 + np.exp(-(up @ kernel + bias)))
    kernel, bias = model.get_layer("scores").get_weights()
    scores = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(scores, up @ kernel + bias, atol=1e-5)


def test_only_the_lowest_machine_has_gaussian_units_and_seeds_differ():
    model = deep_belief_network(3, (4, 2), num_classes=0, visible="gaussian", seed=1)
    machines = [model.get_layer(name) for name in ("rbm_1", "rbm_2")]
    assert [machine.visible for machine in machines] == ["gaussian", "bernoulli"]
    assert len({machine.seed for machine in machines}) == 2
    assert model.output_shape == (None, 2)


def test_dropout_acts_on_the_input_and_on_each_machine_in_training_alone():
    sizes = {"visible_units": 200, "hidden_units": (200, 200), "num_classes": 2, "seed": 1}
    plain = deep_belief_network(**sizes)
    model = deep_belief_network(**sizes, dropout=0.5, input_dropout=0.25)
    model.set_weights(plain.get_weights())
    x = np.ones((50, 200), "float32")
    outputs = (ops.convert_to_numpy(network(x)) for network in (model, plain))
    np.testing.assert_allclose(*outputs, atol=1e-6)
    for name, rate in (("input_dropout", 0.25), ("dropout_1", 0.5), ("dropout_2", 0.5)):
        dropped = ops.convert_to_numpy(model.get_layer(name)(x, training=True)) == 0
        assert dropped.mean() == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize(
    ("builder", "kwargs", "message"),
    [
        (restricted_boltzmann_machine, {"visible_units": 0}, "visible_units must be"),
        (restricted_boltzmann_machine, {"hidden_units": 0}, "hidden_units must be"),
        (restricted_boltzmann_machine, {"visible": "poisson"}, "visible must be one of"),
        (deep_belief_network, {"visible_units": 0}, "visible_units must be"),
        (deep_belief_network, {"hidden_units": ()}, "hidden_units must have the size"),
        (deep_belief_network, {"hidden_units": (3, 0)}, "hidden_units must be"),
        (deep_belief_network, {"hidden_units": 100}, "hidden_units must be a tuple or list"),
        (deep_belief_network, {"num_classes": -1}, "num_classes must be"),
        (deep_belief_network, {"dropout": 1}, "dropout must be a number in"),
        (deep_belief_network, {"input_dropout": -0.1}, "input_dropout must be a number in"),
    ],
)
def test_invalid_arguments_are_rejected(builder, kwargs, message):
    with pytest.raises(ValueError, match=message):
        builder(**kwargs)
