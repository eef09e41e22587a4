"""Distillation's loss and gradient are Hinton's, and the teacher stays outside of the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import ensemble
from dlrecipes.training import Distillation, ImageClassifier

NAMES = ["a", "b", "c"]
RNG = np.random.default_rng(1)
X = RNG.normal(size=(6, 4)).astype("float32")
Y = np.array([0, 2, 1, 1, 0, 2])
T, ALPHA = 3.0, 0.7


def linear(name="net", seed=0, activation=None, **kwargs):
    x = keras.Input((4,), name="images")
    scores = keras.layers.Dense(
        3,
        activation,
        kernel_initializer=keras.initializers.GlorotNormal(seed=seed),
        name="scores",
        **kwargs,
    )
    return keras.Model(x, scores(x), name=name)


def compiled(teacher, network=None, optimizer=None, **kwargs):
    model = Distillation(
        network or linear(), NAMES, teacher, **{"temperature": T, "alpha": ALPHA, **kwargs}
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(1.0), loss, metrics=["accuracy"])
    return model


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_and_gradient(student, teacher, weight=None, alpha=ALPHA, temperature=T):
    """Returns the loss and its gradient by the scores, by hand.

    The cross-entropy's gradient by the scores s is softmax(s) - y. The divergence's is
    (softmax(s / T) - softmax(t / T)) / T, times T^2.
    """
    weight = np.ones(len(X)) if weight is None else weight
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    hard = -np.log(softmax(student)[np.arange(len(Y)), Y])
    soft = temperature**2 * np.sum(p * np.log(p / q), axis=1)
    loss = np.mean(weight * ((1 - alpha) * hard + alpha * soft))
    gradient = (1 - alpha) * (softmax(student) - np.eye(3)[Y]) + alpha * temperature * (q - p)
    return loss, weight[:, None] * gradient / len(X)


@pytest.mark.parametrize("weight", [None, np.array([1, 0, 2, 0.5, 1, 3], "float32")])
def test_loss_and_step_are_those_by_hand(weight):
    teacher, network = linear("teacher", 7), linear(seed=2)
    kernel = network.get_layer("scores").kernel
    before = kernel.numpy()
    scores = [np.asarray(net(X), "float64") for net in (network, teacher)]
    loss, gradient = loss_and_gradient(*scores, weight)
    model = compiled(teacher, network)
    history = model.fit(X, Y, 6, sample_weight=weight, verbose=0).history
    assert history["loss"][0] == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(before - kernel.numpy(), X.T @ gradient, atol=1e-5)


@pytest.mark.parametrize("alpha, same", [(0.0, "hard"), (1.0, "soft")])
def test_the_ends_of_alpha_are_one_of_both_losses(alpha, same):
    teacher, network = linear("teacher", 7), linear(seed=2)
    loss = float(compiled(teacher, network, alpha=alpha).compute_loss(X, Y, network(X)))
    student, target = (np.asarray(net(X), "float64") for net in (network, teacher))
    assert loss == pytest.approx(loss_and_gradient(student, target, alpha=alpha)[0], rel=1e-5)
    if same == "soft":
        again = compiled(network, linear(seed=2), alpha=alpha)
        assert float(again.compute_loss(X, Y, network(X))) == pytest.approx(0, abs=1e-6)


def test_regularization_is_added_unchanged():
    teacher, network = linear("teacher", 7), linear(seed=2, kernel_regularizer="l2")
    kernel = network.get_layer("scores").kernel.numpy()
    model = compiled(teacher, network)
    scores = model(X)
    student, target = np.asarray(scores, "float64"), np.asarray(teacher(X), "float64")
    expected = loss_and_gradient(student, target)[0] + 0.01 * np.sum(kernel**2)
    assert float(model.compute_loss(X, Y, scores)) == pytest.approx(expected, rel=1e-5)


def test_evaluation_equals_a_classifier_without_a_teacher():
    network = linear(seed=2)
    model = compiled(linear("teacher", 7), network)
    plain = ImageClassifier(network, NAMES)
    plain.compile(loss=model.loss, metrics=["accuracy"])
    assert model.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)


def test_an_ensemble_teaches_with_the_mean_of_its_scores():
    members = [linear("one", 7), linear("two", 8)]
    network = linear(seed=2)
    target = np.mean([np.asarray(member(X), "float64") for member in members], axis=0)
    model = compiled(ensemble(members), network)
    expected = loss_and_gradient(np.asarray(network(X), "float64"), target)[0]
    assert float(model.compute_loss(X, Y, network(X))) == pytest.approx(expected, rel=1e-5)


def test_each_member_of_an_ensemble_learns_from_the_teacher():
    teacher, members = linear("teacher", 7), [linear("one", 2), linear("two", 3)]
    scores = [np.asarray(net(X), "float64") for net in (*members, teacher)]
    expected = np.mean([loss_and_gradient(s, scores[-1])[0] for s in scores[:-1]])
    model = compiled(teacher, ensemble(members))
    assert model.fit(X, Y, 6, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_scores_of_a_classifier_are_taken_by_name():
    teacher, network = linear("teacher", 7), linear(seed=2)
    classifier = ImageClassifier(teacher, ["c", "a", "b"])
    target = np.asarray(teacher(X), "float64")[:, [1, 2, 0]]
    expected = loss_and_gradient(np.asarray(network(X), "float64"), target)[0]
    loss = compiled(classifier, network).compute_loss(X, Y, network(X))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_teacher_is_neither_trained_nor_saved(tmp_path):
    x = keras.Input((4,), name="images")
    y = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    teacher = keras.Model(x, keras.layers.Dense(3)(y), name="teacher")
    before = [weight.copy() for weight in teacher.get_weights()]
    model = compiled(teacher, optimizer=keras.optimizers.Adam(0.1))
    model.fit(X, Y, 2, epochs=2, verbose=0)
    for weight, old in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert len(model.weights) == len(model.network.weights) == 2
    # Kernel and bias with Adam's two slots, the iterations and the learning rate.
    assert len(model.optimizer.variables) == 2 * 2 + 2
    saved = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    names = [name for name, _ in tf.train.list_variables(saved)]
    assert not any("teacher" in name or "untracked" in name for name in names)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.teacher, again.temperature, again.alpha) == (None, T, ALPHA)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    again.evaluate(X, Y, verbose=0)
    with pytest.raises(ValueError, match="has no teacher, which is not saved with it"):
        again.fit(X, Y, verbose=0)
    again.set_teacher(teacher)
    again.fit(X, Y, verbose=0)


def test_a_new_teacher_replaces_the_one_of_the_traced_step():
    model = compiled(linear("first", 7), optimizer=keras.optimizers.SGD(0.0))
    losses = [model.fit(X, Y, 6, verbose=0).history["loss"][0]]
    model.set_teacher(linear("second", 8))
    losses.append(model.fit(X, Y, 6, verbose=0).history["loss"][0])
    student = np.asarray(model.network(X), "float64")
    for loss, seed in zip(losses, (7, 8), strict=True):
        target = np.asarray(linear("t", seed)(X), "float64")
        assert loss == pytest.approx(loss_and_gradient(student, target)[0], rel=1e-5)


def test_mistakes_are_named():
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    for teacher, arguments, message in (
        (None, {"temperature": 0}, "temperature must be a finite number above 0"),
        (None, {"alpha": 1.5}, r"alpha must be a number in \[0, 1\]"),
        (wide, {}, r"score for each of 3 classes, shape \(batch, 3\), not \(None, 5\)"),
        (other, {}, r"inputs have the shapes \[\(2,\)\], the network's \[\(4,\)\]"),
        (linear("soft", activation="softmax"), {}, "without softmax"),
        (
            keras.Sequential([linear("net"), keras.layers.Softmax()]),
            {},
            "without softmax",
        ),
        (ensemble([linear("one", activation="softmax"), linear("two")]), {}, "without softmax"),
        (ImageClassifier(linear(), ["a", "b", "d"]), {}, "The teacher's classes are a, b, d"),
    ):
        with pytest.raises(ValueError, match=message):
            compiled(teacher, **arguments)
    with pytest.raises(TypeError, match=r"teacher must be a keras\.Model"):
        compiled("version 3")
