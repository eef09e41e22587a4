"""The settings of object detection and of its predictions."""

from typing import Annotated, ClassVar, Literal

import pydantic

from dlrecipes.recipe import Options, Search, setting
from dlrecipes.recipe.image_settings import ImageConfig

# Pixels between the positions of each level of the pyramid; without it, the second is used.
STRIDES = (8, 16, 32)
# Lowest score of the boxes that predictions and figures show, unless `--threshold` is given.
THRESHOLD = 0.5

Positive = Annotated[float, pydantic.Field(gt=0, le=10_000)]


class Config(ImageConfig):
    """Settings of object detection."""

    # The features of a classifier are a start as well.
    start_recipes: ClassVar[tuple[str, ...]] = ("image_classification",)
    reading_settings: ClassVar[tuple[str, ...]] = ("strict",)
    unused_settings: ClassVar[dict[str, str]] = {"patience": "the last epoch is kept"}

    images: int = setting(1500, "Training scenes of the built-in data.", ge=100, le=1_000_000)
    strict: bool = setting(
        False, "Whether missing images and the like are errors; by default they are left out."
    )
    size: int = setting(
        192, "Height and width that images are resized to, in pixels.", ge=64, le=2048
    )
    epochs: int = setting(6, "Maximum number of epochs.", ge=1, le=100_000)
    batch_size: int = setting(8, "Batch size.", ge=1, le=1024, search=Search(choices=(4, 8, 16)))
    backbone: Literal["small_resnet", "vgg16", "resnet18", "resnet34", "resnet50"] = setting(
        "small_resnet",
        "Network that computes the feature maps.",
        search=Search(choices=("small_resnet", "resnet18")),
    )
    pyramid: bool = setting(
        True, "Whether features of several scales are combined, for small and large objects."
    )
    filters: int = setting(
        64, "Channels of the pyramid and of the region proposal network.", ge=1, le=2048
    )
    units: int = setting(256, "Units of the two dense layers of the head.", ge=1, le=16_384)
    dropout: float = setting(0.0, "Dropout rate of the head.", ge=0, lt=1, search=Search(0.0, 0.5))
    anchors: Literal["default", "auto"] = setting(
        "default", "Anchors: for objects of all sizes, or from the boxes of the training images."
    )
    anchor_sizes: tuple[Positive, ...] = setting(
        (), "Anchors of your own: square roots of their areas, in pixels after resizing."
    )
    anchor_ratios: tuple[Positive, ...] = setting(
        (), "Anchors of your own: height divided by width."
    )
    proposals: int = setting(100, "Regions per image that the head classifies.", ge=1, le=10_000)
    training_proposals: int = setting(
        300, "Regions per image to sample from while training.", ge=1, le=100_000
    )
    sampled_regions: int = setting(
        128, "Regions per image that the head trains on.", ge=1, le=10_000
    )
    scale: float = setting(
        0.1, "Maximum random change of size.", ge=0, lt=1, search=Search(0.0, 0.5)
    )
    shift: float = setting(
        0.0, "Maximum random shift, as a fraction of the size.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    mosaic: float = setting(0.0, "Fraction of training images that are made of four.", ge=0, le=1)
    learning_rate: float = setting(
        4e-3, "Highest learning rate of AdamW.", gt=0, le=1, search=Search(3e-4, 1e-2, "log")
    )
    clip_norm: float = setting(10.0, "Maximum gradient norm.", gt=0)
    max_detections: int = setting(100, "Maximum number of boxes per image.", ge=1, le=1000)
    overlap: float = setting(
        0.5,
        "Overlap (IoU) above which the less likely of two boxes of a class is dropped.",
        ge=0,
        le=1,
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.backbone != "small_resnet":
            reasons["depth"] = "it is for --backbone small_resnet"
        return reasons

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problems of anchors and of too much built-in data."""
        problems = super().contradictions()
        if self.anchors == "auto" and (self.anchor_sizes or self.anchor_ratios):
            problems.append(
                (
                    "--anchors auto, --anchor-sizes and --anchor-ratios: both choose the anchors.",
                    "Leave --anchors auto out, or the sizes and ratios.",
                )
            )
        levels = len(STRIDES) if self.pyramid else 1
        if self.pyramid and self.anchor_sizes and len(self.anchor_sizes) != levels:
            problems.append(
                (
                    f"--anchor-sizes: {len(self.anchor_sizes)} sizes, but the pyramid has "
                    f"{levels} levels.",
                    f"Give {levels} sizes, the smallest first, or --no-pyramid.",
                )
            )
        elif self.pyramid and list(self.anchor_sizes) != sorted(self.anchor_sizes):
            listed = ",".join(f"{size:g}" for size in sorted(self.anchor_sizes))
            problems.append(
                (
                    "--anchor-sizes: the finest level of the pyramid needs the smallest size.",
                    f"Give --anchor-sizes {listed}.",
                )
            )
        return problems


class PredictOptions(Options):
    """Options of 'dlrecipes predict object_detection'."""

    threshold: float = setting(
        THRESHOLD, "Lowest score of a box; none below 0.05 is returned.", ge=0, le=1
    )
    draw: str = setting("", "Folder to write the images to, with their boxes drawn.")
