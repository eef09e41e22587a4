"""The settings of digit recognition: each hyperparameter once."""

from typing import Literal

from dlrecipes.recipe import RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of digit recognition."""

    epochs: int = setting(11, "Passes over the training data, at most.", ge=1, le=100_000)
    patience: int = setting(11, "Epochs without a better validation before it stops.", ge=1)
    batch_size: int = setting(
        128, "Images a step.", ge=1, le=65_536, search=Search(choices=(32, 64, 128, 256))
    )
    min_steps_per_epoch: int = setting(
        18, "Steps an epoch has at least: of few images it is several passes.", ge=1, le=100_000
    )
    network: Literal[
        "cnn",
        "lenet5",
        "lenet5_1998",
        "softmax",
        "mlp",
        "alexnet",
        "vgg",
        "inception",
        "resnet",
    ] = setting(
        "cnn",
        "The network; lenet5_1998 has all of the paper's options.",
        search=Search(choices=("cnn", "lenet5", "mlp", "vgg", "resnet")),
    )
    ensemble_size: int = setting(
        0,
        "Networks, each trained for itself, whose scores are averaged; 0: three of cnn, else one.",
        ge=0,
        le=16,
    )
    width: float = setting(
        1.0, "Multiplies channels and hidden units.", gt=0, le=16, search=Search(0.5, 2.0, "log")
    )
    dropout: float = setting(
        0.3, "Share of the last features left out.", ge=0, lt=1, search=Search(0.0, 0.6)
    )
    label_smoothing: float = setting(
        0.0,
        "Share of a target that is spread over all classes.",
        ge=0,
        lt=1,
        search=Search(0.0, 0.2),
    )
    elastic: float = setting(
        20.0,
        "Strength of the elastic distortion, alpha, in pixels of the blurred field; 0 is none.",
        ge=0,
        le=1000,
        search=Search(0.0, 40.0),
    )
    elastic_sigma: float = setting(
        5.0, "Standard deviation of the field's blur, in pixels.", gt=0, le=28
    )
    shift: float = setting(
        1.0,
        "Largest random shift along each axis, in pixels.",
        ge=0,
        le=14,
        search=Search(0.0, 3.0),
    )
    rotation: float = setting(
        7.0, "Largest random rotation, in degrees.", ge=0, le=180, search=Search(0.0, 20.0)
    )
    scale: float = setting(
        0.07, "Largest random change of height and of width.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    shear: float = setting(
        0.07, "Largest random slant, pixels a row.", ge=0, le=2, search=Search(0.0, 0.3)
    )
    learning_rate: float = setting(
        2e-3, "Adam's step at the start.", gt=0, le=1, search=Search(3e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Of the learning rate, over all epochs."
    )
