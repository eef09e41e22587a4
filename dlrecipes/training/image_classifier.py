"""Classifiers of images that know the names of their classes."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.training.supervised import SupervisedTrainer


@keras.saving.register_keras_serializable(package="dlrecipes")
class ImageClassifier(SupervisedTrainer):
    """Trains a network that gives a score a class, and names the best.

    Loss, metrics and optimizer are what `compile` says, as of `SupervisedTrainer`. The names are
    kept with the weights: a saved classifier answers with them.

    Args:
        network: Model whose weights are made, from images to scores without softmax (logits),
            of shape `(batch, classes)`.
        class_names: The classes' names, each another, in the order of the scores.

    Call arguments:
        inputs: What the network takes.
        training: Whether dropout and the like are on.

    Returns:
        The network's scores.

    Raises:
        ValueError: If the network has no weights yet, or the names are not as many as its
            scores, or one stands twice.

    Example:

    >>> from dlrecipes.models import lenet5
    >>> network = lenet5(2, (28, 28, 1), "same", classifier_activation=None)
    >>> model = ImageClassifier(network, ["cat", "dog"])
    >>> found = model.classify(keras.ops.zeros((3, 28, 28, 1)))
    >>> tuple(found["label"].shape), tuple(found["probabilities"].shape)
    ((3,), (3, 2))

    Reference:
        Bridle, 1990, "Probabilistic interpretation of feedforward classification network
        outputs, with relationships to statistical pattern recognition" (softmax).
    """

    def __init__(self, network: keras.Model, class_names: Sequence[str], **kwargs):
        super().__init__(network, **kwargs)
        names = tuple(class_names)
        outputs = getattr(network, "outputs", None)
        if outputs and (len(outputs) != 1 or tuple(outputs[0].shape[1:]) != (len(names),)):
            shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
            raise ValueError(
                f"{network.name} must give a score for each of {len(names)} class names, shape "
                f"(batch, {len(names)}), not {shapes}."
            )
        twice = {name for name in names if names.count(name) > 1}
        if twice or not all(isinstance(name, str) for name in names):
            raise ValueError(f"class_names must be texts, each another, not {list(names)!r}.")
        self.class_names = names

    def classify(self, images) -> dict[str, tf.Tensor]:
        """Returns what the network takes images for; works inside a `tf.function`.

        Args:
            images: What the network takes.

        Returns:
            `label`, the likeliest class's name, strings of shape `(batch,)`; `probabilities`,
            float32 of shape `(batch, classes)`, by the softmax of the scores.
        """
        scores = tf.cast(self(images, training=False), tf.float32)
        best = tf.argmax(scores, axis=-1, output_type=tf.int32)
        return {
            "label": tf.gather(tf.constant(self.class_names), best),
            "probabilities": tf.nn.softmax(scores),
        }

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "class_names": list(self.class_names)}
