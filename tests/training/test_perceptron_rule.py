"""Rosenblatt's rule, example by example, and its convergence."""

import itertools

import keras
import numpy as np
import pytest

from dlrecipes.layers import ThresholdUnit
from dlrecipes.models import perceptron
from dlrecipes.training import PerceptronRule

PAIRS = np.array(list(itertools.product([0.0, 1.0], repeat=2)), "float32")
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]


def rule(network, rate=1.0, **kwargs):
    model = PerceptronRule(network)
    model.compile(keras.optimizers.SGD(rate), **kwargs)
    return model


def weights(model):
    return [np.array(model.unit.kernel), np.array(model.unit.thresholds)]


def reference_rule(x, y, rate, epochs, low=0):
    """Computes Rosenblatt's rule in NumPy: the weights, and the mistakes per epoch."""
    w, t, mistakes = np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape[1]), []
    for _ in range(epochs):
        mistakes.append(0)
        for example, target in zip(x, y, strict=True):
            error = target - np.where(example @ w - t >= 0, 1, low)
            w += rate * np.outer(example, error)
            t -= rate * error
            mistakes[-1] += bool(error.any())
    return w, t, mistakes


def cloud(count=30, features=3, units=2, seed=0, low=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, features)).astype("float32")
    y = np.where(x @ rng.normal(size=(features, units)) + 0.3 >= 0, 1, low)
    return x, y


@pytest.mark.parametrize("output, low", [("binary", 0), ("bipolar", -1)])
@pytest.mark.parametrize("batch_size", [1, 7, 30])
def test_the_rule_is_applied_to_one_example_after_the_other(output, low, batch_size):
    x, y = cloud(low=low)
    model = rule(perceptron(3, 2, output=output), rate=0.25)
    history = model.fit(x, y, batch_size, epochs=3, shuffle=False, verbose=0).history
    w, t, mistakes = reference_rule(x, y, 0.25, 3, low)
    np.testing.assert_allclose(weights(model)[0], w, atol=1e-5)
    np.testing.assert_allclose(weights(model)[1], t, atol=1e-5)
    np.testing.assert_allclose(history["errors"], np.array(mistakes) / len(x), atol=1e-6)


def test_two_updates_match_hand_computation():
    """From zero weights the potential 0 reaches the threshold: the unit fires, wrongly.

    x = (2, 1), target 0: w = -(2, 1), t = 1. Then x = (1, 0), target 1: w x - t = -3, it does not
    fire: w = (-1, -1), t = 0. The criterion is 0, then 3; the gradients, with the threshold's, are
    (2, 1, 1) and (1, 0, 1).
    """
    model = rule(perceptron(2))
    x = np.array([[2, 1], [1, 0]])
    logs = model.fit(x, np.array([0, 1]), shuffle=False, verbose=0).history
    np.testing.assert_array_equal(weights(model)[0], [[-1], [-1]])
    np.testing.assert_array_equal(weights(model)[1], [0])
    assert logs["errors"] == [1.0]
    assert logs["loss"] == pytest.approx([3 / 2])
    assert logs["gradient_norm"] == pytest.approx([(np.sqrt(6) + np.sqrt(2)) / 2])


@pytest.mark.parametrize("target", [AND, OR])
def test_and_and_or_are_learned(target):
    model = rule(perceptron(2))
    history = model.fit(PAIRS, np.array(target), epochs=15, verbose=0).history
    assert history["errors"][-1] == 0
    assert model.predict(PAIRS, verbose=0).ravel().tolist() == target
    before = weights(model)
    assert model.evaluate(PAIRS, np.array(target), verbose=0, return_dict=True)["errors"] == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))


def test_xor_is_not_learned_and_training_does_not_converge():
    history = rule(perceptron(2)).fit(PAIRS, np.array(XOR), epochs=25, verbose=0).history
    assert min(history["errors"]) > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_mistakes_is_within_novikoffs_bound(seed):
    """With margin g of a unit vector over examples no longer than r, it is at most (r / g)^2."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (60, 2))
    plane = rng.normal(size=3) * [1, 1, 0.2]
    plane /= np.linalg.norm(plane)
    # The threshold is the weight of an input that is always -1.
    longer = np.hstack([x, -np.ones((60, 1))])
    wide = abs(longer @ plane) > 0.15
    x, longer = x[wide], longer[wide]
    y = (longer @ plane >= 0).astype(int)
    r, g = np.linalg.norm(longer, axis=1).max(), abs(longer @ plane).min()
    keras.utils.set_random_seed(seed)
    passes = np.tile(x, (20, 1)), np.tile(y, 20)
    history = rule(perceptron(2)).fit(*passes, 5, epochs=3, verbose=0).history
    mistakes = np.sum(history["errors"]) * len(x) * 20
    assert 0 < mistakes <= (r / g) ** 2
    assert history["errors"][-1] == 0


def test_the_rate_only_scales_weights_learned_from_zero():
    x, y = cloud()
    large, small = rule(perceptron(3, 2), rate=1.0), rule(perceptron(3, 2), rate=0.125)
    for model in (large, small):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(weights(large), weights(small), strict=True):
        np.testing.assert_allclose(a, 8 * b, rtol=1e-5)


def test_evaluation_logs_errors_criterion_and_metrics():
    # w = (1, 1), t = 1.5: the potentials are -1.5, -0.5, -0.5, 0.5, two of which are wrong for OR.
    model = rule(perceptron(2, weights=[1, 1], threshold=1.5), metrics=["mae"])
    logs = model.evaluate(PAIRS, np.array(OR), verbose=0, return_dict=True)
    assert logs == pytest.approx({"loss": (0.5 + 0.5) / 4, "errors": 0.5, "mae": 0.5})


def test_a_single_layer_and_one_after_fixed_layers_train_equally(tmp_path):
    x, y = cloud(units=1)
    unit = ThresholdUnit()
    unit.build((None, 3))
    alone = rule(unit)
    network = keras.Sequential([keras.Input((3, 1)), keras.layers.Flatten(), ThresholdUnit()])
    behind = rule(network)
    for model, inputs in ((alone, x), (behind, x[..., None])):
        model.fit(inputs, y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(weights(alone)[0], weights(behind)[0])
    alone.save(tmp_path / "unit.keras")
    again = keras.saving.load_model(tmp_path / "unit.keras")
    np.testing.assert_array_equal(weights(alone)[0], weights(again)[0])
    np.testing.assert_array_equal(again(x), alone(x))
    assert float(again.optimizer.learning_rate) == 1


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}])
def test_a_step_is_the_same_eagerly_and_compiled(options):
    x, y = cloud()
    plain, other = rule(perceptron(3, 2)), rule(perceptron(3, 2), **options)
    for model in (plain, other):
        model.fit(x, y, 7, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(plain)[0], weights(other)[0], atol=1e-5)


@pytest.mark.parametrize("output, wrong", [("binary", -1), ("bipolar", 0), ("binary", 7)])
def test_targets_outside_the_units_outputs_are_rejected(output, wrong):
    model = rule(perceptron(2, output=output))
    with pytest.raises(ValueError, match=r"^Targets must be 1 or (0|-1)\.$"):
        model.fit(PAIRS, np.array([1, 1, 1, wrong]), verbose=0)


def test_targets_of_another_shape_and_sample_weights_are_rejected():
    with pytest.raises(ValueError, match=r"of shape \(batch, 2\), not"):
        rule(perceptron(2, 2)).fit(PAIRS, np.zeros((4, 1)), verbose=0)
    with pytest.raises(ValueError, match="no sample weights"):
        rule(perceptron(2)).fit(PAIRS, np.array(OR), sample_weight=np.ones(4), verbose=0)


@pytest.mark.parametrize(
    "optimizer, unsupported",
    [
        (keras.optimizers.Adam(), "Adam"),
        (keras.optimizers.SGD(1.0, momentum=0.9), "momentum"),
        (keras.optimizers.SGD(1.0, clipnorm=1.0), "clipnorm"),
    ],
)
def test_optimizers_with_further_options_are_rejected(optimizer, unsupported):
    with pytest.raises(ValueError, match=f"without {unsupported}"):
        PerceptronRule(perceptron(2)).compile(optimizer)


def test_networks_without_trainable_units_are_rejected():
    x = keras.Input((3,))
    dense = keras.layers.Dense(2)
    with pytest.raises(ValueError, match="must end in a ThresholdUnit"):
        PerceptronRule(keras.Model(x, dense(x)))
    with pytest.raises(ValueError, match="trainable = False"):
        PerceptronRule(keras.Model(x, ThresholdUnit()(keras.layers.Dense(2)(x))))
    with pytest.raises(ValueError, match="has no weights yet"):
        PerceptronRule(ThresholdUnit())
    with pytest.raises(ValueError, match="would change nothing"):
        PerceptronRule(keras.Model(x, ThresholdUnit(trainable=False)(x)))
    with pytest.raises(ValueError, match="one chain"):
        PerceptronRule(keras.Model(x, ThresholdUnit()(x + x)))
    with pytest.raises(ValueError, match="own loss"):
        PerceptronRule(perceptron(2)).compile(loss="mse")
