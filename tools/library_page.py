"""The page that lists every public name of the library, generated from the docstrings."""

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

# Package, heading, and names by group; a package without groups is one table. A name that
# its package has and no group, or the other way round, is refused.
SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "dlrecipes.layers": (
        "Layers",
        {
            "Neurons, activations and memories": """
                BipolarStep Gaussian HopfieldNetwork Logistic Maxout RBFOutput
                RestrictedBoltzmannMachine ScaledTanh SelfOrganizingMap Step ThresholdUnit""",
            "Convolution, pooling and normalisation": """
                BatchNormalization FixedKernelConv2D FlippedConv2D L2Pooling2D
                LocalContrastNormalization LocalResponseNormalization MaxoutConv2D PartialConv2D
                ReflectionPadding2D TrainableSubsampling2D""",
            "Distortion of images": "ElasticDistortion",
            "Recurrent cells": "FeedbackCell JordanCell PeepholeLSTMCell",
            "Recurrent layers": "LSTM PeepholeLSTM SimpleRNN",
            "Words and tags": "ContextWindow LinearChainCRF OneOfN WordDropout WordHashing",
            "Embeddings": "L2Normalization PairwiseDistances",
            "Adversarial networks": """
                ConditionalBatchNormalization OrthogonalRegularizer SelfAttention2D""",
            "Detection": """
                AnchorBoxes BoxCoder BoxMatcher NonMaxSuppression RegionProposals RoIAlign""",
            "Ensembles": "EnsembleMean",
        },
    ),
    "dlrecipes.models": (
        "Models",
        {
            "Classic networks": """
                autoencoder deep_belief_network hopfield_network mlp perceptron
                restricted_boltzmann_machine self_organizing_map""",
            "Classification of images": "alexnet googlenet lenet5 resnet small_cnn vgg",
            "Sequences": "character_lm sequence_model tagger",
            "Generation of images": """
                biggan_discriminator biggan_generator cyclegan_generator dcgan_discriminator
                dcgan_generator patchgan pix2pix_unet""",
            "Embeddings": "facenet_inception_resnet facenet_small",
            "Detection": "faster_rcnn faster_rcnn_detector region_proposal_network",
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
            "Every trainer": """
                Checkpoints StopOnDivergence SupervisedTrainer Trainer learning_rate_schedule""",
            "Classification": "ImageClassifier",
            "Adversarial networks": "CycleGAN GAN ImagePool LinearDecay Pix2Pix",
            "Sequences": """
                CarriedState CharacterLanguageModel SequenceTagger TruncatedBPTT gradient_by_lag""",
            "Embeddings": "TripletEmbedding",
            "Boltzmann machines and pre-training": "ContrastiveDivergence pretrain",
            "Classic rules": """
                BackPropagation PerceptronRule StopOnPlateau StopOnGeneralizationGap
                decayed_error""",
            "Ways out of a local minimum": """
                EvolutionarySearch GlobalSearch RandomPerturbation Restarts SearchResult
                SimulatedAnnealing""",
        },
    ),
    "dlrecipes.metrics": ("Metrics", {}),
}
# Packages in which every name comes from a paper.
OF_PAPERS = ("dlrecipes.layers", "dlrecipes.models", "dlrecipes.losses")

INTRODUCTION = """# The library

Every public name, with what it needs to be given, its first line and the paper it follows.
`help(NAME)` tells the rest: shapes, bounds, an example that runs. Layers, models and losses
work on every Keras backend; trainers are TensorFlow's.

This page is generated from the docstrings by `make readme`."""


def page() -> str:
    """Returns the page as Markdown.

    Raises:
        DataError: If a name is in no group or in several, or its docstring lacks what the
            page shows.
    """
    parts = [INTRODUCTION]
    for package, (heading, groups) in SECTIONS.items():
        parts.append(f"## {heading}\n\n`from {package} import ...`")
        for group, names in grouped(package, groups).items():
            rows = [row(package, name) for name in names]
            listed = table(["name", "what it does", "paper"], rows)
            parts.append(f"### {group}\n\n{listed}" if group else listed)
    return "\n\n".join(parts) + "\n"


def grouped(package: str, groups: dict[str, str]) -> dict[str, list[str]]:
    """Returns a package's public names by group, in alphabetical order.

    Args:
        package: The package's full name.
        groups: Names by group, apart by spaces; without groups, all names are one, `""`.

    Raises:
        DataError: If a name is in no group or in several, or the package has no such name.
    """
    public = importlib.import_module(package).__all__
    if not groups:
        return {"": sorted(public, key=str.lower)}
    listed = [name for names in groups.values() for name in names.split()]
    for name in sorted({*public, *listed}):
        if name not in public:
            raise DataError(f"{package} has no {name}, which library_page.py lists.")
        if listed.count(name) != 1:
            places = "no group" if name not in listed else "several groups"
            raise DataError(f"{package}.{name} is in {places} of library_page.py; one is wanted.")
    return {group: sorted(names.split(), key=str.lower) for group, names in groups.items()}


def row(package: str, name: str) -> list[str]:
    """Returns a name's cells: its call, linked to the source; its first line; its paper."""
    documented = getattr(importlib.import_module(package), name)
    full_name = f"{package}.{name}"
    source = Path(inspect.getsourcefile(inspect.unwrap(documented))).resolve().relative_to(ROOT)
    return [
        f"[`{call(name, documented)}`](../{source.as_posix()})",
        summary(full_name, documented),
        paper(full_name, documented, wanted=package in OF_PAPERS),
    ]


def call(name: str, documented: Any) -> str:
    """Returns how a class or function is called: what must be given, and `...` for the rest.

    Example:

    >>> call("sorted", sorted)
    'sorted(iterable, ...)'
    """
    parameters = inspect.signature(documented).parameters.values()
    needed = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    rest = ["..."] if len(parameters) > len(needed) else []
    return f"{name}({', '.join([*needed, *rest])})"


def summary(full_name: str, documented: Any) -> str:
    """Returns the first line of a docstring.

    Raises:
        DataError: If it is not one sentence.
    """
    first = inspect.cleandoc(documented.__doc__ or "").partition("\n\n")[0]
    if "\n" in first or not re.fullmatch(r"[A-Z`](?:(?![.!?] [A-Z]).)*\.", first):
        raise DataError(f"{full_name}: its docstring must begin with one line, a sentence.")
    return first.replace("*", "\\*")


def paper(full_name: str, documented: Any, wanted: bool = True) -> str:
    """Returns authors and year of the first reference in a docstring.

    Args:
        full_name: The name, for messages.
        documented: The class or function.
        wanted: Whether it must have a reference; else `""` is returned where it has none.

    Raises:
        DataError: If there is none, or it does not begin with authors and a year.
    """
    text = inspect.cleandoc(documented.__doc__ or "")
    found = re.search(r"^Reference:\n((?:    .*\n?)+)", text, re.MULTILINE)
    if not found and not wanted:
        return ""
    reference = re.match(r"([^\d\"]+), (\d{4})\b", " ".join(found[1].split()) if found else "")
    if not reference:
        raise DataError(f"{full_name}: its Reference must begin with authors and year.")
    authors = re.split(r", | and ", reference[1])
    who = f"{authors[0]} et al." if len(authors) > 3 else reference[1]
    return f"{who}, {reference[2]}"
