"""The settings of DCGAN, and what its predictions can be told: each once."""

from typing import Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of DCGAN."""

    epochs: int = setting(80, "Passes over the training data.", ge=1, le=100_000)
    patience: int = setting(1, "Not used: the last epoch is kept.", ge=1)
    batch_size: int = setting(
        64, "Images a step.", ge=2, le=65_536, search=Search(choices=(32, 64, 128))
    )
    min_steps_per_epoch: int = setting(
        20, "Steps an epoch has at least: of few images it is several passes.", ge=1, le=100_000
    )
    subject: Literal["digits", "faces", "facades"] = setting(
        "digits", "What the built-in data shows."
    )
    size: Literal[0, 28, 32, 64] = setting(
        0, "Height and width of the images; 0: 64 as in the paper, of the built-in digits 32."
    )
    colour: bool = setting(
        True, "Whether images have colours, where the data has; digits are grey."
    )
    conditional: bool = setting(
        True, "Whether both networks are told the classes of the data, where it has some."
    )
    filters: int = setting(
        32,
        "Filters where the networks have fewest; the paper has 128 and 64.",
        ge=1,
        le=512,
        search=Search(16, 64, "log"),
    )
    latent_size: int = setting(100, "Numbers of noise.", ge=1, le=10_000)
    discriminator_steps: int = setting(
        1, "Updates of the discriminator for each of the generator, k.", ge=1, le=100
    )
    objective: Literal["non_saturating", "minimax", "least_squares", "hinge", "wasserstein"] = (
        setting("non_saturating", "What generator and discriminator play.")
    )
    learning_rate: float = setting(
        4e-4, "Adam's step; the paper has 2e-4.", gt=0, le=1, search=Search(5e-5, 2e-3, "log")
    )
    lr_schedule: Literal["constant", "linear"] = setting(
        "linear", "Of the learning rate: linear falls to 0 over the second half."
    )
    num_samples: int = setting(500, "Images that are made to be scored.", ge=20, le=100_000)

    @property
    def side(self) -> int:
        """Height and width of the images."""
        digits = self.data == "builtin" and self.subject == "digits"
        return self.size or (32 if digits else 64)


class PredictOptions(Options):
    """What 'dlrecipes predict dcgan' can be told."""

    count: int = setting(16, "Images to draw.", ge=1, le=10_000)
    seed: int = setting(0, "The same seed draws the same images.", ge=0, le=2**31 - 1)
    label: str = setting("", "The class to draw, of a model that knows some; all in turn without.")
    sheet: str = setting("samples.png", "PNG file for the sheet of images.")
