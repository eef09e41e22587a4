"""The settings of pix2pix and of its predictions."""

from typing import ClassVar, Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting
from dlrecipes.recipe.config import BUILTIN_DATA
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of pix2pix."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("examples",)
    reading_settings: ClassVar[tuple[str, ...]] = ("pairs", "direction")
    unused_settings: ClassVar[dict[str, str]] = {
        "patience": "the last epoch is kept",
        "data_dir": "pix2pix reads no TFDS datasets",
    }

    epochs: int = setting(6, "Maximum number of epochs.", ge=1, le=100_000)
    batch_size: int = setting(4, "Batch size.", ge=1, le=1024)
    min_steps_per_epoch: int = setting(
        100, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    examples: int = setting(800, "Training examples of the built-in data.", ge=8, le=100_000)
    size: Literal[32, 64, 128, 256] = setting(64, "Image height and width in pixels.")
    pairs: Literal["auto", "side_by_side", "stacked", "folders"] = setting(
        "auto", "Where the two images of a pair are: in one file, or in two folders."
    )
    direction: Literal["right_to_left", "left_to_right"] = setting(
        "right_to_left", "Which of the two images of a pair is translated into the other."
    )
    filters: int = setting(
        32,
        "Filters of the narrowest layer of each network.",
        ge=1,
        le=512,
        search=Search(16, 64, "log"),
    )
    levels: int = setting(
        4,
        "Halvings of the image in the generator: 4 for 64 pixels, 5 for 128 and 6 for 256.",
        ge=2,
        le=8,
    )
    final_filters: int = setting(
        16,
        "Filters of the generator's convolution at full resolution, which reads the input as well; "
        "0 omits it.",
        ge=0,
        le=512,
    )
    discriminator_layers: int = setting(
        2,
        "Strided layers of the discriminator; 2 judge patches of 34 x 34 pixels, 3 of 70 x 70.",
        ge=0,
        le=8,
    )
    upsampling: Literal["bilinear", "nearest", "transposed"] = setting(
        "bilinear",
        "How the generator doubles images; repeated pixels (nearest) may leave stripes, and "
        "transposed convolutions a checkerboard.",
    )
    dropout: float = setting(0.0, "Dropout rate.", ge=0, lt=1)
    adversarial: bool = setting(True, "Whether to train a discriminator, not the L1 loss alone.")
    l1_weight: float = setting(
        300.0,
        "Weight of the L1 loss; the paper has 100.",
        ge=0,
        search=Search(30.0, 1000.0, "log"),
    )
    objective: Literal["non_saturating", "least_squares", "hinge", "minimax"] = setting(
        "non_saturating", "Adversarial loss."
    )
    jitter: float = setting(
        0.117,
        "Relative enlargement of training images of --data before a random crop.",
        ge=0,
        le=1,
    )
    mirror: bool = setting(True, "Whether to mirror half of the training pairs.")
    learning_rate: float = setting(
        5e-4, "Initial learning rate of Adam.", gt=0, le=1, search=Search(5e-5, 1e-3, "log")
    )
    lr_schedule: Literal["constant", "linear"] = setting(
        "linear", "Learning-rate schedule over all epochs."
    )
    precision: Precision = precision_setting()
    fid: Literal["auto", "download", "off"] = setting(
        "auto", "Whether to measure FID: if Inception v3's weights exist, after a download, or not."
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        # The built-in pairs are generated, but translated either way.
        reasons.pop("direction", None)
        if self.data == BUILTIN_DATA:
            reasons["jitter"] = "built-in pairs are not enlarged, which blurs; raise --examples"
        if not self.adversarial:
            only = "--no-adversarial trains the L1 loss alone"
            reasons |= {"l1_weight": only, "objective": only, "discriminator_layers": only}
        return reasons

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problems of networks with more strided layers than the images allow."""
        size, layers, problems = self.size, self.discriminator_layers, []
        if size < 2**self.levels:
            problem = f"--levels {self.levels} --size {size}: fewer than one pixel would be left."
            most = size.bit_length() - 1
            problems.append((problem, f"--levels {most} is the maximum for this size."))
        if self.adversarial and layers and size < 3 * 2**layers:
            most = max(n for n in range(9) if size >= 3 * 2**n)
            problem = (
                f"--discriminator-layers {layers} --size {size}: no patches are left to judge."
            )
            hint = f"--discriminator-layers {most} is the maximum for this size."
            problems.append((problem, hint))
        return problems


class PredictOptions(Options):
    """Options of 'dlrecipes predict pix2pix'."""

    output_dir: str = setting(".", "Folder for the translated images.")
