"""Settings that the recipes of photographs share."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.options import Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting

# Bytes of the largest built-in images, which are kept in memory.
LARGEST = 4_000_000_000


class ImageConfig(RecipeConfig):
    """Settings of the images and of the training; the recipe's own `Config` has all others.

    It has `images` and `size`: the number of built-in images, and the side that the network takes.
    """

    builtin_settings: ClassVar[tuple[str, ...]] = ("images",)

    min_steps_per_epoch: int = setting(
        40, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    width: float = setting(
        1.0, "Multiplier of channels and hidden units.", gt=0, le=16, search=Search(0.5, 2.0, "log")
    )
    depth: int = setting(
        1, "Residual blocks per stage of small_resnet.", ge=1, le=16, search=Search(choices=(1, 2))
    )
    flip: bool = setting(True, "Whether to mirror half of the training images.")
    colour: float = setting(
        0.0,
        "Strength of random brightness, contrast, saturation and hue.",
        ge=0,
        le=1,
        search=Search(0.0, 0.4),
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Learning-rate schedule over all epochs."
    )
    warmup: float = setting(
        0.1, "Fraction of the steps in which the learning rate rises from 0.", ge=0, lt=1
    )
    weight_decay: float = setting(
        0.05, "Weight decay of AdamW.", ge=0, le=10, search=Search(1e-3, 0.3, "log")
    )
    # Pruning and int8 rounding were measured in float32 alone.
    precision: Precision = precision_setting("float32")

    def epoch_steps(self, examples: int) -> tuple[int, int]:
        """Returns the training steps of an epoch, and how often it repeats the images.

        Args:
            examples: Number of training images.
        """
        from dlrecipes.data.batches import epoch_steps

        return epoch_steps(examples, self.batch_size, self.min_steps_per_epoch)

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.lr_schedule == "constant":
            reasons["warmup"] = "--lr-schedule is constant"
        return reasons

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problem of more built-in images than fit into the memory."""
        images, size = self.images, self.size  # type: ignore[attr-defined]
        needed = 3 * images * size**2
        if self.data != "builtin" or needed <= LARGEST:
            return []
        problem = (
            f"--images {images} --size {size}: the built-in images would need "
            f"{needed / 1e9:.1f} GB of memory."
        )
        return [(problem, f"Give --images {LARGEST // (3 * size**2)} or fewer.")]
