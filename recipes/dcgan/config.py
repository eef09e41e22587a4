"""The settings of DCGAN and of its predictions."""

from typing import ClassVar, Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of DCGAN."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("subject",)
    builtin_kind: ClassVar[str] = "subject"
    unused_settings: ClassVar[dict[str, str]] = {"patience": "the last epoch is kept"}

    epochs: int = setting(40, "Maximum number of epochs.", ge=1, le=100_000)
    batch_size: int = setting(
        64, "Batch size.", ge=2, le=65_536, search=Search(choices=(32, 64, 128))
    )
    min_steps_per_epoch: int = setting(
        20, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    subject: Literal["digits", "faces", "facades"] = setting(
        "digits", "Subject of the built-in images."
    )
    size: Literal[0, 28, 32, 64] = setting(
        0, "Image height and width in pixels; 0: 32 for the built-in digits, 64 for other data."
    )
    colour: bool = setting(True, "Whether to use colour images.")
    conditional: bool = setting(
        True, "Whether both networks are conditioned on the class, if the data has classes."
    )
    filters: int = setting(
        32,
        "Filters of the narrowest layer of each network.",
        ge=1,
        le=512,
        search=Search(16, 64, "log"),
    )
    latent_size: int = setting(100, "Dimension of the noise.", ge=1, le=10_000)
    discriminator_steps: int = setting(
        1, "Updates of the discriminator per update of the generator.", ge=1, le=100
    )
    objective: Literal["non_saturating", "minimax", "least_squares", "hinge", "wasserstein"] = (
        setting("non_saturating", "Adversarial loss.")
    )
    precision: Precision = precision_setting()
    learning_rate: float = setting(
        4e-4, "Initial learning rate of Adam.", gt=0, le=1, search=Search(5e-5, 2e-3, "log")
    )
    lr_schedule: Literal["constant", "linear"] = setting(
        "linear", "Learning-rate schedule over all epochs."
    )
    num_samples: int = setting(500, "Samples to generate for the metrics.", ge=20, le=100_000)

    @property
    def side(self) -> int:
        """Height and width of the images."""
        digits = self.data == "builtin" and self.subject == "digits"
        return self.size or (32 if digits else 64)

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.data != "builtin":
            return reasons
        if self.subject == "digits":
            reasons["colour"] = "the built-in digits are grey"
        else:
            reasons["conditional"] = f"the built-in {self.subject} have no classes"
        return reasons

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problem of facades of fewer pixels than their parts need."""
        if self.data != "builtin" or self.subject != "facades" or self.side >= 32:
            return []
        problem = f"--subject facades --size {self.size}: facades need at least 32 pixels."
        return [(problem, "Give --size 32 or 64.")]


class PredictOptions(Options):
    """Options of 'dlrecipes predict dcgan'."""

    count: int = setting(16, "Number of images.", ge=1, le=10_000)
    seed: int = setting(0, "Random seed; the same seed gives the same images.", ge=0, le=2**31 - 1)
    label: str = setting("", "Class to generate, if the model has classes; default: all in turn.")
    sheet: str = setting("samples.png", "PNG file to write the images to, on one sheet.")
