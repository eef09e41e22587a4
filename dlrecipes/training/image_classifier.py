"""Image classifiers that know the names of their classes."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.training.supervised import SupervisedTrainer


@keras.saving.register_keras_serializable(package="dlrecipes")
class ImageClassifier(SupervisedTrainer):
    """Trains a network that scores classes, and names the most likely class of an image.

    Loss, metrics and optimizer are those of `compile`, as in `SupervisedTrainer`. The class names
    are saved with the weights.

    Args:
        network: Built model from images to scores without softmax (logits), of
            shape `(batch, classes)`.
        class_names: Distinct names of the classes, in the order of the scores.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The network's scores.

    Raises:
        ValueError: If the network has no weights yet, if the number of names differs from the
            number of scores, or if a name is duplicate.

    Example:

    >>> import keras
    >>> from dlrecipes.models import lenet5
    >>> from dlrecipes.training import ImageClassifier
    >>> network = lenet5(2, (28, 28, 1), "same", classifier_activation=None)
    >>> model = ImageClassifier(network, ["cat", "dog"])
    >>> outputs = model.classify(keras.ops.zeros((3, 28, 28, 1)))
    >>> tuple(outputs["label"].shape), tuple(outputs["probabilities"].shape)
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
                f"{network.name} must output a score for each of {len(names)} class names, shape "
                f"(batch, {len(names)}), not {shapes}."
            )
        if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"class_names must be distinct strings, not {list(names)!r}.")
        self.class_names = names

    def classify(self, images) -> dict[str, tf.Tensor]:
        """Classifies images; works inside a `tf.function`.

        Args:
            images: Inputs of the network.

        Returns:
            `label`, the name of the most likely class, strings of shape `(batch,)`, and
            `probabilities`, the softmax of the scores, float32 of shape `(batch, classes)`.
        """
        scores = tf.cast(self(images, training=False), tf.float32)
        best = tf.argmax(scores, axis=-1, output_type=tf.int32)
        return {
            "label": tf.gather(tf.constant(self.class_names), best),
            "probabilities": tf.nn.softmax(scores),
        }

    def get_config(self):
        return {**super().get_config(), "class_names": list(self.class_names)}
