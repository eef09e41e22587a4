"""The page that lists every public name of the library, generated from docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from dlrecipes._utils.markdown import table
from dlrecipes.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "library.md"

# For each package, its heading and its names by group. A package without groups becomes one table.
# Groups and package must hold the same names: `grouped` raises an error otherwise.
SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "dlrecipes.layers": (
        "Layers",
        {
            "Neurons, activations and associative memories": """
                BipolarStep Gaussian HopfieldNetwork Logistic Maxout RBFOutput
                RestrictedBoltzmannMachine ScaledTanh SelfOrganizingMap Step ThresholdUnit""",
            "Convolution, pooling and normalization": """
                BatchNormalization FixedKernelConv2D FlippedConv2D L2Pooling2D
                LocalContrastNormalization LocalResponseNormalization MaxoutConv2D PartialConv2D
                ReflectionPadding2D TrainableSubsampling2D""",
            "Image augmentation": "ElasticDistortion",
            "Quantization": "FakeQuantize FakeQuantizedKernel",
            "Recurrent cells": "FeedbackCell JordanCell PeepholeLSTMCell",
            "Recurrent layers": "LSTM PeepholeLSTM SimpleRNN",
            "Words and tags": "ContextWindow LinearChainCRF OneOfN WordDropout WordHashing",
            "Embeddings": "L2Normalization PairwiseDistances",
            "Adversarial networks": """
                ConditionalBatchNormalization OrthogonalRegularizer SelfAttention2D""",
            "Detection": """
                AnchorBoxes BoxCoder BoxMatcher NonMaxSuppression PyramidRoIAlign RegionProposals
                RoIAlign""",
            "Ensembles": "EnsembleMean",
        },
    ),
    "dlrecipes.models": (
        "Models",
        {
            "Classic networks": """
                autoencoder convolutional_autoencoder deep_belief_network hopfield_network mlp
                perceptron restricted_boltzmann_machine self_organizing_map""",
            "Image classification": "alexnet googlenet lenet5 resnet small_cnn small_resnet vgg",
            "Sequences": "character_lm sequence_model tagger",
            "Image generation": """
                biggan_discriminator biggan_generator cyclegan_generator dcgan_discriminator
                dcgan_generator patchgan pix2pix_unet""",
            "Embeddings": "facenet_inception_resnet facenet_small",
            "Detection": """
                faster_rcnn faster_rcnn_detector feature_pyramid region_proposal_network""",
            "Ensembles": "ensemble",
        },
    ),
    "dlrecipes.losses": (
        "Losses",
        {
            "Adversarial networks": """
                gradient_penalty hinge_discriminator_loss hinge_generator_loss
                least_squares_discriminator_loss least_squares_generator_loss
                minimax_discriminator_loss minimax_generator_loss
                non_saturating_discriminator_loss non_saturating_generator_loss
                wasserstein_discriminator_loss wasserstein_generator_loss""",
            "Embeddings": "contrastive_loss triplet_loss",
            "Detection": "detection_loss region_proposal_loss",
        },
    ),
    "dlrecipes.training": (
        "Training",
        {
            "General": """
                AveragedWeights Checkpoints FreezeFeatures ScheduleSequence StopOnDivergence
                SupervisedTrainer Trainer learning_rate_schedule""",
            "Compression": """
                Distillation MagnitudePruning QuantizationAwareTraining quantization_aware""",
            "Classification": "ImageClassifier",
            "Explanations": "GradCAM TopImages grad_cam preferred_images top_images",
            "Adversarial networks": "CycleGAN GAN ImagePool LinearDecay Pix2Pix",
            "Sequences": """
                CarriedState CharacterLanguageModel SequenceTagger TruncatedBPTT gradient_by_lag""",
            "Embeddings": "TripletEmbedding",
            "Detection": "FasterRCNN",
            "Boltzmann machines and pre-training": "ContrastiveDivergence pretrain",
            "Classic learning and stopping rules": """
                BackPropagation PerceptronRule StopOnPlateau StopOnGeneralizationGap
                decayed_error""",
            "Escaping local minima": """
                EvolutionarySearch GlobalSearch RandomPerturbation Restarts SearchResult
                SimulatedAnnealing""",
        },
    ),
    "dlrecipes.metrics": ("Metrics", {}),
}
# Packages in which every name needs a reference.
REFERENCED = ("dlrecipes.layers", "dlrecipes.models", "dlrecipes.losses")

INTRODUCTION = """# The library

Every public name with its required arguments, the first line of its docstring, and the paper
it follows. `help(NAME)` adds shapes, bounds and a runnable example. Layers, models and losses run
on every Keras backend; trainers need TensorFlow.

This page is generated from the docstrings by `make readme`."""


def page() -> str:
    """Returns the page as Markdown.

    Raises:
        DataError: If a name is in no group or in several groups, or its docstring lacks
            something that the page shows.
    """
    parts = [INTRODUCTION]
    for package, (heading, groups) in SECTIONS.items():
        parts.append(f"## {heading}\n\n`from {package} import ...`")
        for group, names in grouped(package, groups).items():
            rows = [row(package, name) for name in names]
            names_table = table(["name", "description", "paper"], rows)
            parts.append(f"### {group}\n\n{names_table}" if group else names_table)
    return "\n\n".join(parts) + "\n"


def grouped(package: str, groups: dict[str, str]) -> dict[str, list[str]]:
    """Returns the public names of a package by group, in alphabetical order.

    Args:
        package: Full name of the package.
        groups: Names by group, separated by spaces. Empty puts all names into one group, `""`.

    Raises:
        DataError: If a name is in no group or in several groups, or the package lacks it.
    """
    public = importlib.import_module(package).__all__
    if not groups:
        return {"": sorted(public, key=str.lower)}
    listed = [name for names in groups.values() for name in names.split()]
    for name in sorted({*public, *listed}):
        if name not in public:
            raise DataError(f"library_page.py lists {name}, which {package} does not have.")
        if listed.count(name) != 1:
            count = "no group" if name not in listed else "several groups"
            raise DataError(
                f"library_page.py: expected {package}.{name} in one group, got {count}."
            )
    return {group: sorted(names.split(), key=str.lower) for group, names in groups.items()}


def row(package: str, name: str) -> list[str]:
    """Returns the cells of a name: its call, linked to the source, first line and paper."""
    documented = getattr(importlib.import_module(package), name)
    full_name = f"{package}.{name}"
    file = inspect.getsourcefile(inspect.unwrap(documented)) or ""
    source = Path(file).resolve().relative_to(ROOT)
    return [
        f"[`{call(name, documented)}`](../{source.as_posix()})",
        summary(full_name, documented),
        paper(full_name, documented, required=package in REFERENCED),
    ]


def call(name: str, documented: Any) -> str:
    """Returns a call with the required arguments, and `...` for optional ones.

    Example:

    >>> from tools.library_page import call
    >>> call("sorted", sorted)
    'sorted(iterable, ...)'
    """
    parameters = inspect.signature(documented).parameters.values()
    required = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    optional = ["..."] if len(parameters) > len(required) else []
    return f"{name}({', '.join([*required, *optional])})"


def summary(full_name: str, documented: Any) -> str:
    """Returns the first line of a docstring.

    Raises:
        DataError: If that line is not one whole sentence.
    """
    first = inspect.cleandoc(documented.__doc__ or "").partition("\n\n")[0]
    if "\n" in first or not re.fullmatch(r"[A-Z`](?:(?![.!?] [A-Z]).)*\.", first):
        raise DataError(f"{full_name}: the docstring must begin with one sentence on one line.")
    return first.replace("*", "\\*")


def paper(full_name: str, documented: Any, required: bool = True) -> str:
    """Returns the authors and year of the first reference in a docstring.

    Args:
        full_name: Full name, for error messages.
        documented: Class or function.
        required: Whether a missing reference is an error; if not, it yields `""`. Defaults to
            `True`.

    Raises:
        DataError: If a required reference is missing, or a reference does not begin with authors
            and a year.
    """
    text = inspect.cleandoc(documented.__doc__ or "")
    section = re.search(r"^Reference:\n((?:    .*\n?)+)", text, re.MULTILINE)
    if not section and not required:
        return ""
    reference = re.match(r"([^\d\"]+), (\d{4})\b", " ".join(section[1].split()) if section else "")
    if not reference:
        raise DataError(f"{full_name}: its Reference must begin with authors and year.")
    authors = re.split(r", | and ", reference[1])
    short = f"{authors[0]} et al." if len(authors) > 3 else reference[1]
    return f"{short}, {reference[2]}"
