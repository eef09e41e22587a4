"""Knowledge distillation: a small classifier learns from the scores of a large one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers import EnsembleMean
from dlrecipes.layers._arguments import number
from dlrecipes.training._engine.checks import check_built
from dlrecipes.training.image_classifier import ImageClassifier


@keras.saving.register_keras_serializable(package="dlrecipes")
class Distillation(ImageClassifier):
    """Trains an image classifier on its targets and on the scores of a trained teacher.

    The loss in training is

        (1 - alpha) * hard + alpha * temperature^2 * KL(softmax(t / temperature) ||
                                                        softmax(s / temperature))

    with the teacher's scores t and the network's scores s. The hard loss is the loss of `compile`.
    The divergence has the gradient of the cross-entropy with the teacher's probabilities. Its
    factor keeps the ratio of both gradients about independent of the temperature. A network's
    regularization is added unchanged. Evaluation computes the loss of `compile` alone, which can
    be compared with other trainers, and does not call the teacher.

    The teacher sees the inputs of `fit` in inference mode: augment images in the data set, not in
    the network, if both should see the same ones. It is neither trained nor saved. A model that was
    loaded from a `.keras` file classifies without it; call `set_teacher` to train it again.

    Args:
        network: Student: built model from images to scores without softmax (logits), of shape
            `(batch, classes)`.
        class_names: Distinct names of the classes, in the order of the scores.
        teacher: Trained model with the network's inputs and scores for the same classes, without
            softmax. If it has `class_names`, its scores are put into the network's order. An
            ensemble is a `models.ensemble`. Defaults to `None`: set later with `set_teacher`.
        temperature: Temperature of both softmaxes, above 0. A higher one gives the small scores
            more weight. Defaults to 4.
        alpha: Weight of the teacher's scores, in [0, 1]. The targets have the weight `1 - alpha`.
            Defaults to 0.9.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The network's scores.

    Raises:
        TypeError: If network or teacher is not a `keras.Model`.
        ValueError: If `temperature` or `alpha` is out of bounds, or if the teacher has other
            inputs, outputs or classes, or a softmax. In `fit`: if there is no teacher.

    Example:

    >>> import keras
    >>> from dlrecipes.models import lenet5
    >>> from dlrecipes.training import Distillation
    >>> shape = (28, 28, 1)
    >>> teacher = lenet5(2, shape, "same", classifier_activation=None, name="teacher")
    >>> images = keras.Input(shape)
    >>> scores = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    >>> model = Distillation(keras.Model(images, scores), ["cat", "dog"], teacher)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = keras.ops.zeros((4, *shape)), keras.ops.array([0, 1, 0, 1])
    >>> history = model.fit(x, y, verbose=0).history
    >>> len(model.weights)
    2

    Reference:
        Hinton, Vinyals and Dean, 2015, "Distilling the knowledge in a neural network", section 2.
        https://arxiv.org/abs/1503.02531
    """

    def __init__(
        self,
        network: keras.Model,
        class_names: Sequence[str],
        teacher: keras.Model | None = None,
        temperature: float = 4.0,
        alpha: float = 0.9,
        **kwargs,
    ):
        super().__init__(network, class_names, **kwargs)
        number("temperature", temperature, "a finite number above 0", lambda t: 0 < t < math.inf)
        number("alpha", alpha, "a number in [0, 1]", lambda weight: 0 <= weight <= 1)
        self.temperature = temperature
        self.alpha = alpha
        self._untracked = _Untracked()
        if teacher is not None:
            self.set_teacher(teacher)

    @property
    def teacher(self) -> keras.Model | None:
        """The teacher, or `None`."""
        return self._untracked.teacher

    def set_teacher(self, teacher: keras.Model) -> None:
        """Sets the teacher, after a model was loaded or in place of another one.

        Args:
            teacher: Trained model, see the class.

        Raises:
            TypeError: If it is not a `keras.Model`.
            ValueError: If it has other inputs, outputs or classes, or a softmax.
        """
        check_built(teacher, "teacher")
        _check_scores(teacher, len(self.class_names))
        _check_inputs(teacher, self.network)
        names = getattr(teacher, "class_names", self.class_names)
        if sorted(names) != sorted(self.class_names):
            raise ValueError(
                f"The teacher's classes are {', '.join(names)}, and the network's are "
                f"{', '.join(self.class_names)}."
            )
        self._untracked.teacher = teacher
        self._untracked.columns = [list(names).index(name) for name in self.class_names]
        # A traced step holds the previous teacher.
        self.train_function = None

    def make_train_function(self, force=False):
        """Traces the training step, if there is a teacher."""
        if self.teacher is None:
            raise ValueError(
                f"{self.name} has no teacher, which is not saved with it: call set_teacher(model)."
            )
        super().make_train_function(force)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of `compile`; in training, its mean with the teacher's loss."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        soft = self.temperature**2 * self._divergence(x, y_pred, sample_weight)
        for regularization in self.losses:
            soft += tf.cast(regularization, soft.dtype)
        return (1 - self.alpha) * loss + self.alpha * tf.cast(soft, loss.dtype)

    def _divergence(self, x: Any, y_pred: tf.Tensor, sample_weight: Any) -> tf.Tensor:
        """Returns the mean divergence of the softened probabilities from the teacher's."""
        scores = tf.cast(self.teacher(x, training=False), tf.float32)
        scores = tf.stop_gradient(tf.gather(scores, self._untracked.columns, axis=-1))
        scores, weight = self._repeat_for_members((scores, sample_weight), y_pred)
        expected = tf.nn.log_softmax(scores / self.temperature)
        outputs = tf.nn.log_softmax(tf.cast(y_pred, tf.float32) / self.temperature)
        divergence = tf.reduce_sum(tf.exp(expected) * (expected - outputs), axis=-1)
        if weight is not None:
            divergence *= tf.reshape(tf.cast(weight, tf.float32), [-1])
        return tf.reduce_mean(divergence)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "alpha": self.alpha}


class _Untracked:
    """Holds what Keras would save and train if it were an attribute of the model."""

    def __init__(self):
        self.teacher: keras.Model | None = None
        self.columns: list[int] = []


def _check_scores(teacher: keras.Model, classes: int) -> None:
    outputs = getattr(teacher, "outputs", None) or getattr(
        getattr(teacher, "network", None), "outputs", None
    )
    if not outputs:
        return
    if len(outputs) != 1 or tuple(outputs[0].shape[1:]) != (classes,):
        shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
        raise ValueError(
            f"The teacher must output a score for each of {classes} classes, shape "
            f"(batch, {classes}), not {shapes}."
        )
    if _ends_in_softmax(outputs[0]):
        raise ValueError(
            "The teacher must output scores without softmax: build it with "
            "classifier_activation=None, or take the inputs of its softmax."
        )


def _ends_in_softmax(tensor: keras.KerasTensor) -> bool:
    layer = tensor._keras_history.operation
    if isinstance(layer, keras.Model):
        return _ends_in_softmax(layer.outputs[0])
    if isinstance(layer, EnsembleMean):
        return any(map(_ends_in_softmax, layer._inbound_nodes[0].input_tensors))
    softmaxes = (keras.activations.softmax, keras.activations.log_softmax)
    is_softmax = getattr(layer, "activation", None) in softmaxes
    return is_softmax or isinstance(layer, keras.layers.Softmax)


def _check_inputs(teacher: keras.Model, network: keras.Model) -> None:
    both = [getattr(getattr(m, "network", m), "inputs", None) for m in (network, teacher)]
    if not all(both):
        return
    shapes = [[tuple(tensor.shape[1:]) for tensor in inputs] for inputs in both]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"The teacher's inputs have the shapes {shapes[1]}, the network's {shapes[0]}."
        )
