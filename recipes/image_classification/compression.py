"""Compression of image classification: how a version was compressed, and what it compares with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np

from dlrecipes._utils.notes import print_note
from dlrecipes.data.image_batches import image_batches
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.errors import RecipeError, UsageError
from dlrecipes.export.signatures import Measure, Reference
from dlrecipes.export.version import LITERT_FILE, ModelVersion
from dlrecipes.metrics.weight_sparsity import kernels
from dlrecipes.recipe.labels import published_labels
from dlrecipes.recipe.versions import find_version

from . import data
from .config import Config

RECIPE = "image_classification"


def method(config: Config) -> str:
    """Returns how the network is compressed while it is trained; empty if it is not."""
    methods = {
        "pruned": config.prune,
        "distilled": config.teacher,
        "quantization-aware": config.quantize_aware,
    }
    return ", ".join(name for name, is_used in methods.items() if is_used)


def pruned_weights(config: Config, model: keras.Model) -> str:
    """Returns a sentence that says which weights `--prune` sets to zero.

    Args:
        config: The settings.
        model: The model to prune.
    """
    pruned = sum(int(np.prod(kernel.shape)) for _, kernel in kernels(model))
    return (
        f"--prune {config.prune:g} prunes the kernels of convolutions and dense layers, "
        f"{pruned / model.count_params():.1%} of all parameters, each kernel to the same fraction; "
        "depthwise kernels, biases and normalization keep all of theirs."
    )


def sparsity(model: keras.Model) -> float:
    """Returns the fraction of zeros over all kernels that can be pruned."""
    values = [keras.ops.convert_to_numpy(kernel) for _, kernel in kernels(model)]
    zeros = sum(kernel.size - np.count_nonzero(kernel) for kernel in values)
    return float(zeros / sum(kernel.size for kernel in values))


def accuracy(examples: ImageExamples, size: int) -> Measure:
    """Returns a function that measures the accuracy of a LiteRT file.

    Args:
        examples: Images, labelled by the file's classes.
        size: Height and width of the file's images.
    """
    batches, _ = image_batches(examples, size, 100, 0)

    def measure(classify: Callable[..., Mapping[str, np.ndarray]]) -> float:
        right = [
            classify(images=images.numpy().astype("float32") / 255)["probabilities"].argmax(1)
            == labels.numpy()
            for images, labels in batches
        ]
        return float(np.mean(np.concatenate(right)))

    return measure


def references(config: Config, examples: ImageExamples) -> dict[str, Reference]:
    """Returns the versions with which the card compares a compressed one, by label.

    They are the teacher, and the version that a compressed one began with. One that is gone or has
    other classes is named in a note, and left out.

    Args:
        config: The settings.
        examples: Test images of the data.
    """
    rows: dict[Path, Reference] = {}
    roles: dict[Path, list[str]] = {}
    for setting in ("start", "teacher") if method(config) else ():
        text = getattr(config, setting)
        if not text:
            continue
        try:
            version = find_version(text, Path(), RECIPE, setting)
            rows[version.folder] = _reference(config, version, examples)
        except RecipeError as error:
            line = f"the model card does not compare with --{setting}: {error.message}"
            print_note(line, once=line)
            continue
        roles.setdefault(version.folder, []).append(setting)
    return {
        f"{' and '.join(roles[folder])}: {folder.parent.name}, version {folder.name}": row
        for folder, row in rows.items()
    }


def _reference(config: Config, version: ModelVersion, examples: ImageExamples) -> Reference:
    """Returns a version's LiteRT file, measured on the same images in its own size."""
    path = version.file(LITERT_FILE)
    stored = Config.from_yaml(version.config_file)
    size = stored.get("size", config.size)
    names = published_labels(version)
    examples.with_names(names)  # Refuses other classes at once.

    def measure(classify: Callable[..., Mapping[str, np.ndarray]]) -> float:
        same = _in_size(config, examples, size)
        return accuracy(same.with_names(names), size)(classify)

    return Reference(path, measure, {"images": np.zeros((1, size, size, 3), "float32")})


def _in_size(config: Config, examples: ImageExamples, size: int) -> ImageExamples:
    """Returns the same test images; the built-in ones are drawn in a network's size."""
    if config.data != "builtin" or size == config.size:
        return examples
    test = data.load(config.model_copy(update={"size": size})).test
    return test.spread(len(examples))


def check_classes(version: ModelVersion, theirs: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Refuses a teacher of other classes than those of the data.

    Args:
        version: The teacher's version.
        theirs: Its classes.
        names: Classes of the data.

    Raises:
        UsageError: If the classes differ; their order may.
    """
    lacks = [name for name in names if name not in theirs]
    others = [name for name in theirs if name not in names]
    if lacks or others:
        parts = [
            f"{what} {_listed(classes)}"
            for what, classes in (("it does not know", lacks), ("the data do not have", others))
            if classes
        ]
        raise UsageError(
            f"--teacher {version.folder}: its classes are not those of the data: "
            f"{'; '.join(parts)}.",
            "Name a version that was trained on these classes.",
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
