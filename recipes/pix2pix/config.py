"""The settings of pix2pix, and what its predictions can be told: each once."""

from typing import Literal

from dlrecipes.recipe import Options, RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of pix2pix."""

    epochs: int = setting(10, "Passes over the training data.", ge=1, le=100_000)
    patience: int = setting(1, "Not used: the last epoch is kept.", ge=1)
    batch_size: int = setting(4, "Pairs a step; the paper has 1.", ge=1, le=1024)
    examples: int = setting(400, "Training pairs of the built-in data.", ge=8, le=100_000)
    size: Literal[32, 64, 128, 256] = setting(64, "Height and width of the images.")
    direction: Literal["right_to_left", "left_to_right"] = setting(
        "right_to_left", "Which of two images side by side is drawn from which."
    )
    filters: int = setting(
        32,
        "Filters of the first layer of either network; the paper has 64.",
        ge=1,
        le=512,
        search=Search(16, 64, "log"),
    )
    discriminator_layers: int = setting(
        3, "Halvings of the discriminator: 3 judge patches of 70x70.", ge=0, le=8
    )
    dropout: float = setting(
        0.5, "Share of units left out of the decoder's first layers.", ge=0, lt=1
    )
    adversarial: bool = setting(True, "Whether there is a discriminator, or the L1 loss alone.")
    l1_weight: float = setting(
        100.0, "Weight of the mean absolute difference.", ge=0, search=Search(10.0, 300.0, "log")
    )
    objective: Literal["non_saturating", "least_squares", "hinge", "minimax"] = setting(
        "non_saturating", "What generator and discriminator play."
    )
    jitter: float = setting(
        0.117, "How much larger images are made before a part is cut out.", ge=0, le=1
    )
    mirror: bool = setting(True, "Whether half of the pairs are mirrored in training.")
    learning_rate: float = setting(
        2e-4, "Adam's step at the start.", gt=0, le=1, search=Search(5e-5, 1e-3, "log")
    )
    lr_schedule: Literal["constant", "linear"] = setting(
        "linear", "Of the learning rate: linear falls to 0 over the second half."
    )
    precision: Literal["float32", "mixed_bfloat16"] = setting(
        "float32", "Of training; the published model is float32."
    )
    fid: Literal["auto", "download", "off"] = setting(
        "auto",
        "Whether FID is measured, with Inception v3 of keras.applications: auto where its weights "
        "lie in Keras' folder, download fetches them (88 MB).",
    )


class PredictOptions(Options):
    """What 'dlrecipes predict pix2pix' can be told beside images."""

    output_dir: str = setting(".", "Folder for the translated images.")
