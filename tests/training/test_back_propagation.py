"""The delta rule equals automatic differentiation and the textbook's algorithms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import mlp
from dlrecipes.training import BackPropagation, SupervisedTrainer, decayed_error

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 4)).astype("float32")
Y = RNG.uniform(size=(9, 2)).astype("float32")
PAIRS, XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def network(hidden=(5,), activation="sigmoid", output="sigmoid", seed=1):
    keras.utils.set_random_seed(seed)
    model = mlp((4,), 2, hidden, activation, output_activation=output)
    # Biases of zero would hide mistakes.
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(scale=0.7, size=w.shape) for w in model.get_weights()])
    return model


def tape_gradient(model, x, y, share=1.0):
    """Returns the gradient by automatic differentiation of an independent loss."""
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(0.5 * tf.reduce_sum((model.network(x) - y) ** 2, axis=1))
        squares = tf.add_n([tf.reduce_sum(v.value**2) for v in model.trainable_variables])
        loss = share * error + (1 - share) * squares
    return tape.gradient(loss, [v.value for v in model.trainable_variables])


def assert_equal_lists(ours, theirs, **tolerances):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, **tolerances)


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 3), (4, 4, 4, 4)])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "linear", "relu", "elu", "softplus"])
def test_the_delta_rule_equals_automatic_differentiation(activation, hidden, share):
    model = BackPropagation(network(hidden, activation), error_share=share)
    # A relative tolerance, because hidden layers of sigmoids make the gradient small.
    assert_equal_lists(
        model.gradients(X, Y), tape_gradient(model, X, Y, share), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("output", [None, "tanh", "relu"])
def test_the_delta_rule_supports_other_output_activations(output):
    model = BackPropagation(network((5,), "tanh", output))
    assert_equal_lists(model.gradients(X, Y), tape_gradient(model, X, Y), rtol=1e-5, atol=1e-6)


def test_one_standard_step_matches_hand_computation():
    """One sigmoid unit, w = (1, -1), b = 0.5, rate 2; x = (1, 2), target 1.

    The output is s(-0.5); g = s (1 - s) (1 - s); dw = 2 g x, db = 2 g.
    """
    model = BackPropagation(mlp((2,), 1, (), output_activation="sigmoid"))
    model.network.set_weights([np.array([[1.0], [-1.0]]), np.array([0.5])])
    model.compile(keras.optimizers.SGD(2.0))
    s = 1 / (1 + np.exp(0.5))
    g = s * (1 - s) * (1 - s)
    logs = model.fit(np.array([[1.0, 2.0]]), np.array([1.0]), verbose=0).history
    w, b = model.network.get_weights()
    np.testing.assert_allclose(w, [[1 + 2 * g], [-1 + 4 * g]], atol=1e-6)
    np.testing.assert_allclose(b, [0.5 + 2 * g], atol=1e-6)
    assert logs["loss"] == pytest.approx([(1 - s) ** 2 / 2], abs=1e-6)
    assert logs["gradient_norm"] == pytest.approx([g * np.sqrt(1 + 4 + 1)], abs=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.9])
@pytest.mark.parametrize("batch_size", [1, 4, 9])
def test_standard_mode_updates_after_each_example_in_order(batch_size, share):
    ours = BackPropagation(network((5, 3)), error_share=share)
    theirs = BackPropagation(network((5, 3)), error_share=share)
    ours.compile(keras.optimizers.SGD(0.5), metrics=["mse"])
    logs = ours.fit(X, Y, batch_size, epochs=2, shuffle=False, verbose=0).history
    norms = []
    for _ in range(2):
        for x, y in zip(X, Y, strict=True):
            gradients = tape_gradient(theirs, x[None], y[None], share)
            norms.append(float(tf.linalg.global_norm(gradients)))
            for variable, gradient in zip(theirs.trainable_variables, gradients, strict=True):
                variable.assign(variable - 0.5 * gradient)
    assert_equal_lists(ours.network.get_weights(), theirs.network.get_weights(), atol=1e-5)
    if batch_size == len(X):
        means = np.mean(np.reshape(norms, (2, -1)), axis=1)
        assert logs["gradient_norm"] == pytest.approx(list(means), rel=1e-4)
    assert int(ours.optimizer.iterations) == 2 * -(-9 // batch_size)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_accumulated_mode_updates_once_by_the_mean_gradient(optimizer):
    ours = BackPropagation(network(), mode="accumulated")
    theirs = SupervisedTrainer(network())
    ours.compile(optimizer)
    # With two outputs, half the sum of squares is the mean of squares.
    theirs.compile(optimizer, "mse")
    for model in (ours, theirs):
        logs = model.fit(X, Y, len(X), epochs=3, verbose=0).history
        assert int(model.optimizer.iterations) == 3
    assert_equal_lists(ours.network.get_weights(), theirs.network.get_weights(), atol=1e-6)
    assert ours.evaluate(X, Y, verbose=0, return_dict=True)["loss"] == pytest.approx(
        theirs.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    )
    assert logs["loss"][-1] < logs["loss"][0]


@pytest.mark.parametrize("mode", ["standard", "accumulated"])
def test_xor_is_learned(mode):
    keras.utils.set_random_seed(3)
    net = mlp((2,), 1, (4,), activation="tanh", output_activation="sigmoid")
    model = BackPropagation(net, mode=mode)
    rate = 1.0 if mode == "standard" else 4.0
    model.compile(keras.optimizers.SGD(rate), steps_per_execution=100)
    # 600 passes over the four examples, each one batch.
    model.fit(np.tile(PAIRS, (600, 1)), np.tile(XOR, 600), 4, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.predict(PAIRS, verbose=0).ravel(), XOR, atol=0.2)


def test_decayed_error_matches_hand_computation():
    # 0.25 * 4 + 0.75 * (1 + 4 + 9)
    error = decayed_error(tf.constant(4.0), [tf.constant([[1.0, -2.0]]), tf.constant(3.0)], 0.25)
    assert float(error) == pytest.approx(11.5)
    assert float(decayed_error(tf.constant(4.0), [tf.constant(3.0)], 1)) == 4
    for wrong in (0, -0.1, 1.1, float("nan"), "0.5", None):
        with pytest.raises(ValueError, match="error_share must be a number above 0"):
            decayed_error(tf.constant(1.0), [], wrong)


def test_decay_alone_shrinks_weights_as_computed_by_hand():
    """Without a gradient of the error, w <- w - rate * 2 (1 - share) w, here 3 * (1 - 0.2)."""
    model = BackPropagation(mlp((1,), 1, ()), mode="accumulated", error_share=0.5)
    model.network.set_weights([np.array([[3.0]]), np.array([0.0])])
    model.compile(keras.optimizers.SGD(0.2))
    logs = model.fit(np.zeros((1, 1)), np.zeros(1), verbose=0).history
    np.testing.assert_allclose(model.network.get_weights()[0], [[3 * 0.8]], rtol=1e-6)
    assert logs["loss"] == pytest.approx([0.5 * 9])


def test_decay_equals_keras_l2_at_another_learning_rate():
    """E / share is the error plus (1 - share) / share times the squares."""
    share, rate = 0.8, 0.3
    ours = BackPropagation(network((3,)), mode="accumulated", error_share=share)
    ours.compile(keras.optimizers.SGD(rate))
    decay = keras.regularizers.L2((1 - share) / share)
    layers = [
        keras.layers.Dense(
            n, activation="sigmoid", kernel_regularizer=decay, bias_regularizer=decay
        )
        for n in (3, 2)
    ]
    net = keras.Sequential([keras.Input((4,)), *layers])
    net.set_weights(ours.network.get_weights())
    theirs = SupervisedTrainer(net)
    theirs.compile(keras.optimizers.SGD(rate * share), "mse")
    for model in (ours, theirs):
        model.fit(X, Y, 9, epochs=3, verbose=0)
    assert_equal_lists(ours.network.get_weights(), net.get_weights(), atol=1e-6)


@pytest.mark.parametrize("mode", ["standard", "accumulated"])
def test_frozen_layers_propagate_deltas_and_do_not_change(mode):
    net = network((5, 3))
    net.get_layer("hidden_2").trainable = False
    model = BackPropagation(net, mode=mode, error_share=0.7)
    model.compile(keras.optimizers.SGD(0.1))
    assert_equal_lists(model.gradients(X, Y), tape_gradient(model, X, Y, 0.7), rtol=1e-5, atol=1e-6)
    before = net.get_weights()
    model.fit(X, Y, verbose=0)
    unchanged = [np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True)]
    assert unchanged == [False, False, True, True, False, False]


def test_images_and_layers_without_bias_are_supported():
    x, y = RNG.normal(size=(5, 2, 2, 1)), RNG.uniform(size=5)
    net = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, "tanh", use_bias=False),
            keras.layers.Dense(1),
        ]
    )
    model = BackPropagation(net)
    theirs = tape_gradient(model, x.astype("float32"), y[:, None].astype("float32"))
    assert_equal_lists(model.gradients(x, y), theirs, atol=1e-6)


@pytest.mark.parametrize("mode", ["standard", "accumulated"])
@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}])
def test_a_step_is_the_same_eagerly_and_compiled(mode, options):
    plain, other = BackPropagation(network(), mode), BackPropagation(network(), mode)
    plain.compile()
    other.compile(**options)
    for model in (plain, other):
        model.fit(X, Y, 4, shuffle=False, verbose=0)
    assert_equal_lists(plain.network.get_weights(), other.network.get_weights(), atol=1e-6)


def test_unsupported_networks_are_rejected():
    x = keras.Input((4,))
    dense = keras.layers.Dense
    with pytest.raises(ValueError, match="without dropout"):
        BackPropagation(mlp((4,), 2, (3,), dropout=0.5))
    with pytest.raises(ValueError, match="must be one of linear, sigmoid"):
        BackPropagation(mlp((4,), 2, (3,), output_activation="softmax"))
    with pytest.raises(
        ValueError, match="uses kernel_regularizer, which the delta rule does not support"
    ):
        BackPropagation(keras.Model(x, dense(2, kernel_regularizer="l2")(x)))
    with pytest.raises(ValueError, match="one chain"):
        BackPropagation(keras.Model(x, [dense(2)(x), dense(2)(x)]))
    twice = dense(4)
    with pytest.raises(ValueError, match="one chain"):
        BackPropagation(keras.Model(x, twice(twice(x))))
    with pytest.raises(ValueError, match="built"):
        BackPropagation(keras.Sequential([dense(2)]))
    with pytest.raises(ValueError, match="one vector per example"):
        line = keras.Input((3, 4))
        BackPropagation(keras.Model(line, dense(2)(line)))


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="mode must be one of standard, accumulated"):
        BackPropagation(network(), mode="batch")
    with pytest.raises(ValueError, match="error_share must be"):
        BackPropagation(network(), error_share=0.0)
    with pytest.raises(ValueError, match="without Adam"):
        BackPropagation(network()).compile("adam")
    with pytest.raises(ValueError, match="own loss"):
        BackPropagation(network()).compile("sgd", "mse")
    model = BackPropagation(network())
    model.compile()
    with pytest.raises(ValueError, match=r"\(batch, 2\), not \(None, 1\)"):
        model.fit(X, Y[:, :1], verbose=0)
