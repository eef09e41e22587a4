"""The signature that explains an image classifier's predictions by heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.image_bytes import decode, decode_batch
from dlrecipes.data.image_resizing import limit
from dlrecipes.export.signatures import Signature
from dlrecipes.training.grad_cam import GradCAM, overlay

# Larger heat maps take seconds to encode, and show nothing more.
LARGEST = 2048
EXAMPLES = 4


def explain_signature(
    model: keras.Model,
    images: Sequence[np.ndarray],
    *,
    fit: Callable[[tf.Tensor], tf.Tensor],
    shape: Sequence[int],
    class_names: Sequence[str] = (),
    classify: Callable[[tf.Tensor], Mapping[str, tf.Tensor]] | None = None,
    place: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    layer: keras.layers.Layer | str | None = None,
) -> Signature:
    """Returns a signature that takes image files and draws Grad-CAM over them.

    Its input is `image_bytes`, strings of shape `(batch,)`, files of any sizes as in
    `image_signatures`. Its outputs, each of shape `(batch,)`, are `explanation_bytes`, PNG files in
    colour with the heat map of the predicted class over the grey image; `label`, the name of this
    class; and `probability`, float32. A PNG file has the size of its image, but at most 2048 pixels
    on the longer side.

    Args:
        model: Classifier that `GradCAM` supports: it outputs scores or, after a softmax,
            probabilities.
        images: Examples for the verification, uint8 of shape `(height, width, channels)` each. The
            first four are used.
        fit: Function from one image of any size, float32 of shape `(height, width, channels)`, from
            0 to 1, to a prepared image.
        shape: Height, width and channels (1 or 3) of a prepared image.
        class_names: Names of the classes, in the order of the scores. Defaults to the model's
            `class_names`.
        classify: Function from prepared images to `label` and `probabilities`, if `serving_default`
            returns others than the model's own, such as means over an image and its mirror image.
            Its most likely class is explained. Defaults to `None`.
        place: Function from the heat map of a prepared image, float32 of shape `(height, width,
            1)`, and the size of the image, int32 `[height, width]`, to the heat map of the image.
            It undoes the padding or cropping of `fit`. Defaults to `None`: `fit` stretches an
            image, and the heat map is stretched back.
        layer: Layer of the feature maps, as in `GradCAM`. Defaults to `None`: the one that it
            chooses.

    Raises:
        ValueError: If the model is not supported, or the number of names differs from the number of
            scores.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.export.explanations import explain_signature
    >>> from dlrecipes.models import small_cnn
    >>> signature = explain_signature(
    ...     small_cnn(2),
    ...     np.zeros((1, 28, 28, 1), "uint8"),
    ...     fit=lambda image: image[:28, :28],
    ...     shape=(28, 28, 1),
    ...     class_names=["cat", "dog"],
    ... )
    >>> [spec.name for spec in signature.inputs]
    ['image_bytes']

    Reference:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, 2017, "Grad-CAM: visual explanations
        from deep networks via gradient-based localization". https://arxiv.org/abs/1610.02391
    """
    cam = GradCAM(model, layer)
    names = list(class_names or getattr(model, "class_names", ()))
    if len(names) != (classes := cam.model.outputs[0].shape[-1]):
        raise ValueError(f"{model.name} has {classes} classes, but class_names has {len(names)}.")

    def explanation(content: tf.Tensor, heat: tf.Tensor) -> tf.Tensor:
        image = limit(decode(content, channels=shape[-1]), LARGEST)
        size = tf.shape(image)[:2]
        heat = place(heat, size) if place else tf.image.resize(heat, size)
        return tf.io.encode_png(overlay(image[None], heat[None, ..., 0])[0])

    def explain(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        prepared = decode_batch(image_bytes, fit, shape)
        if classify:
            outputs = classify(prepared)
            maps = cam(prepared, tf.argmax(outputs["probabilities"], axis=-1))
        else:
            scores, maps = cam.explain(prepared)
            scores = tf.cast(scores, tf.float32)
            probabilities = scores if cam.has_probabilities else tf.nn.softmax(scores)
            label = tf.gather(tf.constant(names), tf.argmax(probabilities, axis=-1))
            outputs = {"label": label, "probabilities": probabilities}
        return {
            "explanation_bytes": tf.map_fn(
                lambda pair: explanation(*pair),
                (image_bytes, maps[..., None]),
                fn_output_signature=tf.TensorSpec([], tf.string),
            ),
            "label": outputs["label"],
            "probability": tf.reduce_max(outputs["probabilities"], axis=-1),
        }

    files = [tf.io.encode_png(image).numpy() for image in images[:EXAMPLES]]
    return Signature(
        explain,
        [tf.TensorSpec([None], tf.string, name="image_bytes")],
        [(np.array(files, object),)],
    )
