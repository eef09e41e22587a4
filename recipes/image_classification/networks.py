"""The networks of image classification: the library's builders, and those of keras.applications."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from dlrecipes import models
from dlrecipes._utils.downloads import bounded_downloads
from dlrecipes.errors import UsageError, nearest, reason

from .config import APPLICATIONS, Config

# About the mean and the standard deviation of photographs, from 0 to 1.
MEAN, DEVIATION = 0.45, 0.25
# The stem of small_resnet brings an image to about this size.
COARSE = 32
# Images of at least this size get the stem of ImageNet's residual networks.
LARGE = 128
HEAD = "predictions"


def build(config: Config, num_classes: int) -> keras.Model:
    """Returns a network from images of shape `(size, size, 3)`, from 0 to 1, to logits.

    Args:
        config: The settings.
        num_classes: Number of classes.

    Raises:
        UsageError: If the network is unknown, cannot take images of that size or classes of that
            number, or its weights cannot be loaded.
    """
    shape = (config.size, config.size, 3)
    try:
        members = [
            _member(config, shape, num_classes, number) for number in range(config.ensemble_size)
        ]
    except ValueError as error:
        where = f"--network {config.network} --size {config.size}"
        raise UsageError(f"{where}: {reason(error)}") from None
    network = members[0] if len(members) == 1 else models.ensemble(members)
    images = keras.Input(shape, name="images")
    return keras.Model(images, network(images), name="image_classification")


def check(config: Config) -> None:
    """Checks the name of a network of keras.applications, before anything is read.

    Raises:
        UsageError: If there is no such network; the message names the nearest one.
    """
    if config.network.startswith(APPLICATIONS):
        _find_application(config.network)


def _member(
    config: Config, shape: tuple[int, int, int], num_classes: int, number: int
) -> keras.Model:
    # Members differ in their seeds.
    seed = config.seed + 1000 * number
    name = f"member_{number + 1}"
    images = keras.Input(shape, name="images")
    if config.network.startswith(APPLICATIONS):
        return _application(config, images, num_classes, seed, name)
    centred = keras.layers.Rescaling(1 / DEVIATION, -MEAN / DEVIATION, name="centred")(images)
    network = _builder(config)(
        num_classes=num_classes,
        input_shape=shape,
        width=config.width,
        dropout=config.dropout,
        classifier_activation=None,
        kernel_initializer="he_normal",
        seed=seed,
    )
    return keras.Model(images, network(centred), name=name)


def _builder(config: Config) -> Any:
    kind = config.network.rstrip("0123456789")
    depth = config.network.removeprefix(kind)
    if kind == "small_resnet":
        stride = max(1, config.size // COARSE)
        return lambda **options: models.small_resnet(
            stem_stride=stride, blocks=config.depth, **options
        )
    if kind == "resnet":
        stem = "imagenet" if config.size >= LARGE else "small"
        return lambda **options: models.resnet(int(depth), stem=stem, **options)
    if kind == "vgg":
        return lambda **options: models.vgg(int(depth), batch_normalization=True, **options)
    return getattr(models, kind)


def _application(
    config: Config, images: keras.KerasTensor, num_classes: int, seed: int, name: str
) -> keras.Model:
    """Returns a network of keras.applications with a new last layer."""
    builder = _find_application(config.network)
    try:
        with _download_options():
            features = builder(
                include_top=False,
                weights=_weights(config),
                input_shape=tuple(images.shape[1:]),
                pooling="avg",
            )
    except UsageError:
        raise
    except ValueError as error:
        raise _plain(config, error) from None
    except Exception as error:
        raise _no_weights(config, error) from None
    preprocess = sys.modules[builder.__module__].preprocess_input
    x = features(preprocess(255.0 * images))
    x = keras.layers.Dropout(config.dropout, seed=seed, name="dropout")(x)
    x = keras.layers.Dense(num_classes, name=HEAD)(x)
    return keras.Model(images, x, name=name)


@contextlib.contextmanager
def _download_options() -> Iterator[None]:
    """Ends a download whose server does not answer, and hides warnings about image sizes."""
    with bounded_downloads(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _find_application(network: str) -> Any:
    known = {
        name: builder
        for name, builder in vars(keras.applications).items()
        if inspect.isfunction(builder)
    }
    name = network.removeprefix(APPLICATIONS)
    if name not in known:
        raise UsageError(
            f"--network {network}: keras.applications has no {name!r}. "
            f"{nearest(name, known)}".rstrip(),
            f"Give one of {', '.join(sorted(known))}.",
        )
    return known[name]


def _weights(config: Config) -> str | None:
    if config.weights in ("", "imagenet"):
        return config.weights or None
    path = Path(config.weights).expanduser()
    if not path.is_file():
        raise UsageError(
            f"--weights {config.weights}: there is no such file.", "Give imagenet or a .h5 file."
        )
    return str(path)


def _plain(config: Config, error: Exception) -> UsageError:
    where = f"--network {config.network} --size {config.size}"
    hint = ""
    if config.weights:
        where += f" --weights {config.weights}"
        hint = "A weights file must be of this network with include_top=False."
    return UsageError(f"{where}: {reason(error)}", hint)


def _no_weights(config: Config, error: Exception) -> UsageError:
    """Returns the error of weights that cannot be downloaded or read."""
    if config.weights != "imagenet":
        return _plain(config, error)
    address = re.search(r"https?://\S+?/([\w.\-]+\.(?:h5|keras))", str(error))
    if not address:
        return UsageError(
            f"--weights imagenet: the weights cannot be downloaded: {reason(error)}.",
            "Try again, or give the path of a file as --weights FILE.",
        )
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    return UsageError(
        f"--weights imagenet: {address[1]} cannot be downloaded.",
        f"Download {address[0]} elsewhere and put it into {folder}, or give its path as "
        "--weights FILE.",
    )
