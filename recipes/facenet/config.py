"""The settings of FaceNet and of its predictions."""

from typing import ClassVar, Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of FaceNet."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("people",)
    unused_settings: ClassVar[dict[str, str]] = {"patience": "the last epoch is kept"}

    epochs: int = setting(8, "Maximum number of epochs.", ge=1, le=100_000)
    min_steps_per_epoch: int = setting(
        25, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    people: int = setting(
        880, "People of the built-in data; 40 are for validation, 40 for test.", ge=90, le=20_000
    )
    size: int = setting(64, "Image height and width in pixels.", ge=16, le=512)
    crop: float = setting(
        1.0, "Fraction of height and width that a central crop keeps; 0.5 for LFW.", gt=0, le=1
    )
    colour: bool = setting(False, "Whether to use colour images.")
    network: Literal["small", "inception_resnet"] = setting("small", "Network architecture.")
    width: float = setting(
        1.0, "Multiplier of channels and hidden units.", gt=0, le=8, search=Search(0.5, 2.0, "log")
    )
    ensemble_size: int = setting(
        1, "Ensemble size; members train independently and are averaged.", ge=1, le=16
    )
    normalization: Literal["contrast", "local_contrast", "both"] = setting(
        "contrast", "Normalization of an image, locally as well, or alternately ('both')."
    )
    pooling: Literal["flatten", "average"] = setting(
        "flatten",
        "Input of the small network's last layer: all positions, or their mean.",
        search=Search(choices=("flatten", "average")),
    )
    embedding_units: int = setting(
        128, "Embedding dimension; members of an ensemble divide it.", ge=2, le=4096
    )
    dropout: float = setting(0.0, "Dropout rate.", ge=0, lt=1, search=Search(0.0, 0.5))
    mining: Literal["batch_hard", "batch_all_nonzero", "batch_all", "semi_hard", "hard"] = setting(
        "semi_hard",
        "Triplets of a batch to train on; batch_hard suits few people and may collapse with many.",
        search=Search(choices=("batch_hard", "batch_all_nonzero", "semi_hard")),
    )
    margin: float = setting(
        0.2, "Triplet margin, in units of the metric.", gt=0, le=4, search=Search(0.1, 1.2)
    )
    metric: Literal["euclidean", "squared_euclidean", "cosine"] = setting(
        "squared_euclidean", "Distance that the margin applies to."
    )
    batch_size: int = setting(128, "Batch size.", ge=4, le=65_536, search=Search(32, 256))
    images_per_person: int = setting(
        4, "Images per person in a batch; the batch size limits the people.", ge=2, le=256
    )
    warp: float = setting(
        0.0, "Standard deviation in pixels of a random warp of each person.", ge=0, le=100
    )
    glasses: float = setting(0.0, "Probability of glasses drawn on a training face.", ge=0, le=1)
    flip: bool = setting(True, "Whether to mirror half of the training images.")
    mirror: bool = setting(True, "Whether to average the embeddings of an image and its mirror.")
    shift: float = setting(2.0, "Maximum random shift, in pixels.", ge=0, search=Search(0.0, 6.0))
    rotation: float = setting(
        4.0, "Maximum random rotation, in degrees.", ge=0, le=180, search=Search(0.0, 20.0)
    )
    zoom: float = setting(
        0.1, "Maximum random change of size.", ge=0, lt=1, search=Search(0.0, 0.4)
    )
    elastic: float = setting(
        0.0, "Strength (alpha) of the elastic distortion, in pixels; 0 disables it.", ge=0, le=1000
    )
    random_erasing: float = setting(
        0.0, "Probability of random erasing.", ge=0, le=1, search=Search(0.0, 0.6)
    )
    learning_rate: float = setting(
        3e-3, "Initial learning rate of Adam.", gt=0, le=1, search=Search(1e-4, 1e-2, "log")
    )
    weight_decay: float = setting(0.0, "Weight decay of AdamW.", ge=0, le=1)
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Learning-rate schedule over all epochs."
    )
    precision: Precision = precision_setting()
    target_far: float = setting(
        0.01, "False accept rate of the published threshold, on validation pairs.", gt=0, lt=1
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.data == "builtin":
            reasons["crop"] = "the built-in faces fill their images"
        if self.network != "small":
            reasons["pooling"] = "it is for --network small"
        return reasons

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problems of ensembles that cannot be divided, and of small batches."""
        problems, count, units = [], self.ensemble_size, self.embedding_units
        if self.normalization == "both" and count < 2:
            problem = f"--normalization both --ensemble-size {count}"
            hint = "Give --ensemble-size 2 or more."
            problems.append((f"{problem}: each normalization needs a member.", hint))
        if units % count:
            problem = f"--ensemble-size {count} --embedding-units {units}"
            hint = f"Give --embedding-units {count * -(-units // count)}, or another size."
            reason = "the units cannot be divided equally among the members."
            problems.append((f"{problem}: {reason}", hint))
        size, each = self.batch_size, self.images_per_person
        if size < 2 * each:
            problem = f"--batch-size {size} --images-per-person {each}"
            hint = f"Give --batch-size {2 * each} or more."
            problems.append((f"{problem}: a batch must show two people.", hint))
        return problems


class PredictOptions(Options):
    """Options of 'dlrecipes predict facenet'."""

    gallery: str = setting("", "Known people: a folder per person, or a file written by --enrol.")
    enrol: str = setting("", "File (.npz) to save the gallery's embeddings to.")
    threshold: float | None = setting(
        None, "Maximum distance between images of a person; default: as published.", gt=0, le=4
    )
