"""Exports of the autoencoder: signatures of files, arrays and codes, and LiteRT files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.batches import map_batches
from dlrecipes.data.faces import Size, fitted
from dlrecipes.data.image_bytes import encode_batch
from dlrecipes.export.image_signatures import Outputs, image_processing, image_signatures
from dlrecipes.export.processing import Processing
from dlrecipes.export.version import part_file
from dlrecipes.recipe import Exports, Quantized, Signature, Splits
from dlrecipes.recipe.labels import labels_file
from dlrecipes.training import ImageClassifier, SupervisedTrainer

from . import networks, scores
from .config import Config

# Number of test images on which every published file is verified.
COMPARED = 20
# Largest number of test images on which smaller LiteRT files are measured.
MEASURED = 1000
# Maximum loss of PSNR, in dB, and of accuracy for a smaller LiteRT file to be published.
DROP_PSNR, DROP_ACCURACY = 0.2, 0.005
# File with the errors of validation images: the percentiles from 0 to 100, one per line.
ERRORS_FILE = "errors.txt"
NOTES = """\
Images of any size are resized to {side}x{side}, {colours}. `code` has {numbers} numbers. `error` is
the squared error of a restored image, the sum over all pixels from 0 to 1;
`assets.extra/errors.txt` has the percentiles 0 to 100 of this error on validation images.

`{default}` is the default; `encode` and `decode` are the halves of `restore`. The signature
`images` takes arrays. Its images and those of `decode` are uint8, those of the LiteRT files numbers
from 0 to 1.
"""
CLASSES_NOTE = """
`label` is the most probable class. `classes` lists the classes in the order of the columns of
`probabilities`, which are also the lines of `assets.extra/labels.txt`.
"""


def exports(config: Config, model: SupervisedTrainer, splits: Splits) -> Exports:
    """Returns the signatures of a trained model, and the function of its LiteRT file.

    Args:
        config: The settings.
        model: The trained model.
        splits: The data.
    """
    test, shape = splits.test, splits.train.images.shape[1:]
    is_classifier = isinstance(model, ImageClassifier)
    size = Size(shape[0], channels=shape[2])
    few = test.images[:COMPARED]

    def fit(image: tf.Tensor) -> tf.Tensor:
        return fitted(image, size)

    def signatures(function: Callable[[tf.Tensor], Outputs]) -> tuple[dict, Signature]:
        return image_signatures(
            lambda images: {**_described(model, images), **_classified(model, images)},
            lambda images: _numbers(model, images),
            few,
            fit=fit,
            shape=shape,
            serve_files=function,
        )

    served, litert = signatures(lambda images: _restored(model, images))
    restore = served.pop("serving_default")
    files = {
        "restore": restore,
        "encode": signatures(lambda x: {"code": networks.encode(model, x)})[0]["serving_default"],
        "decode": _decode(model, few),
        "images": served["images"],
    }
    if is_classifier:
        classify = signatures(lambda images: _classified(model, images))[0]["serving_default"]
        files["classify"] = classify
    default = "classify" if is_classifier else "restore"
    notes = NOTES.format(
        default=default,
        side=shape[0],
        colours="in grey" if shape[2] == 1 else "in colour",
        numbers=litert.traced.structured_outputs["code"].shape[-1],
    )
    errors = scores.describe(model, splits.validation.images).errors(splits.validation.images)
    percentiles = np.percentile(errors, range(101))
    return Exports(
        {"serving_default": files[default], **files},
        litert,
        {
            ERRORS_FILE: "".join(f"{value:.6g}\n" for value in percentiles),
            **(labels_file(model.class_names) if is_classifier else {}),
        },
        notes + (CLASSES_NOTE if is_classifier else ""),
        _quantized(model, splits),
        processing=_processing(fit, shape, default),
        litert_parts=_litert_parts(model, litert, few),
    )


def _processing(fit: Callable[[tf.Tensor], tf.Tensor], shape: tuple, default: str) -> Processing:
    """Returns how the LiteRT files answer files of images and codes, without TensorFlow."""

    def by_files(after: Mapping[str, Any], **file: str) -> Processing:
        return image_processing(after, fit=fit, shape=shape, by="scale", **file)

    images = {"kind": "images", "source": "restored"}
    decode = {**images, "names": ["images", "png_bytes"]}
    every = {
        "restore": by_files({**images, "names": ["png_bytes", "error"]}),
        "encode": by_files({"kind": "same"}, file=part_file("encoder")),
        "decode": Processing(
            {"kind": "numbers", "names": ["code"]},
            decode,
            lambda code: {"code": code},
            part_file("decoder"),
        ),
    }
    if default == "classify":
        every[default] = by_files({"kind": "classes"}, file=part_file("classifier"))
    return dataclasses.replace(every[default], others=every)


def _litert_parts(
    model: SupervisedTrainer, whole: Signature, few: np.ndarray
) -> dict[str, Signature]:
    """Returns the functions of the smaller LiteRT files: each needs a part of the network alone."""

    def encode(images: tf.Tensor) -> Outputs:
        return {"code": networks.encode(model, images)}

    def decode(code: tf.Tensor) -> Outputs:
        return {"restored": networks.decode(model, code)}

    def classify(images: tf.Tensor) -> Outputs:
        return {"probabilities": model.classify(images)["probabilities"]}

    codes = scores.describe(model, few).codes
    spec = tf.TensorSpec([None, codes.shape[1]], tf.float32, name="code")
    parts = {
        "encoder": Signature(encode, whole.inputs, whole.examples),
        "decoder": Signature(decode, [spec], [(codes,)]),
    }
    if isinstance(model, ImageClassifier):
        parts["classifier"] = Signature(classify, whole.inputs, whole.examples)
    return parts


def _described(model: SupervisedTrainer, images: tf.Tensor) -> Outputs:
    codes = networks.encode(model, images)
    restored = networks.decode(model, codes)
    error = networks.squared_error(images, restored)
    return {"code": codes, "restored": _to_uint8(restored), "error": error}


def _restored(model: SupervisedTrainer, images: tf.Tensor) -> Outputs:
    described = _described(model, images)
    return {"png_bytes": encode_batch(described["restored"]), "error": described["error"]}


def _classified(model: SupervisedTrainer, images: tf.Tensor) -> Outputs:
    if not isinstance(model, ImageClassifier):
        return {}
    names = tf.tile(tf.constant([model.class_names]), [tf.shape(images)[0], 1])
    return {**model.classify(images), "classes": names}


def _numbers(model: SupervisedTrainer, images: tf.Tensor) -> Outputs:
    codes = networks.encode(model, images)
    restored = networks.decode(model, codes)
    outputs = {
        "code": codes,
        "restored": restored,
        "error": networks.squared_error(images, restored),
    }
    if isinstance(model, ImageClassifier):
        outputs["probabilities"] = model.classify(images)["probabilities"]
    return outputs


def _decode(model: SupervisedTrainer, few: np.ndarray) -> Signature:
    codes = scores.describe(model, few).codes

    def decode(code: tf.Tensor) -> Outputs:
        images = _to_uint8(networks.decode(model, code))
        return {"images": images, "png_bytes": encode_batch(images)}

    return Signature(
        decode, [tf.TensorSpec([None, codes.shape[1]], tf.float32, name="code")], [(codes,)]
    )


def _to_uint8(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255), tf.uint8)


def _quantized(model: SupervisedTrainer, splits: Splits) -> Quantized:
    examples = splits.test[:MEASURED]

    def outputs(function: Callable[..., Mapping[str, np.ndarray]], name: str) -> np.ndarray:
        return map_batches(
            lambda batch: function(images=batch.astype("float32") / 255)[name],
            examples.images,
            batch_size=100,
        )

    def psnr(function: Callable[..., Mapping[str, np.ndarray]]) -> float:
        return scores.psnr(examples.images, outputs(function, "restored"))

    def accuracy(function: Callable[..., Mapping[str, np.ndarray]]) -> float:
        predicted = outputs(function, "probabilities").argmax(axis=1)
        return float(np.mean(predicted == examples.labels))

    calibration = [(examples.images[:1].astype("float32") / 255,)]
    if isinstance(model, ImageClassifier):
        drop = max(DROP_ACCURACY, 2.5 / len(examples))
        return Quantized(("float16", "dynamic"), calibration, "accuracy", accuracy, drop)
    return Quantized(("float16", "dynamic"), calibration, "psnr", psnr, DROP_PSNR)
