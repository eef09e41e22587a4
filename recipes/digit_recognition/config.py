"""Settings of digit recognition."""

from typing import ClassVar, Literal

from dlrecipes.recipe import RecipeConfig, Search, setting
from dlrecipes.recipe.precision import Precision, precision_setting


class Config(RecipeConfig):
    """Settings of digit recognition."""

    reading_settings: ClassVar[tuple[str, ...]] = ("orientation",)

    orientation: Literal["auto", "upright", "transposed"] = setting(
        "auto",
        "How IDX files store images; auto: transposed if their names contain emnist.",
    )
    epochs: int = setting(11, "Maximum number of epochs.", ge=1, le=100_000)
    patience: int = setting(11, "Epochs without improvement before stopping.", ge=1)
    batch_size: int = setting(
        128, "Batch size.", ge=1, le=65_536, search=Search(choices=(32, 64, 128, 256))
    )
    min_steps_per_epoch: int = setting(
        18, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    network: Literal[
        "cnn", "lenet5", "lenet5_1998", "softmax", "mlp", "alexnet", "vgg", "inception", "resnet"
    ] = setting(
        "cnn",
        "Network architecture; lenet5_1998 has all options of the paper.",
        search=Search(choices=("cnn", "lenet5", "mlp", "vgg", "resnet")),
    )
    ensemble_size: int = setting(
        0,
        "Ensemble size; members train independently and are averaged. 0: 3 for cnn, else 1.",
        ge=0,
        le=16,
    )
    width: float = setting(
        1.0, "Multiplier of channels and hidden units.", gt=0, le=16, search=Search(0.5, 2.0, "log")
    )
    dropout: float = setting(0.3, "Dropout rate.", ge=0, lt=1, search=Search(0.0, 0.6))
    label_smoothing: float = setting(
        0.0, "Label smoothing factor.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    elastic: float = setting(
        20.0,
        "Strength (alpha) of the elastic distortion, in pixels; 0 disables it.",
        ge=0,
        le=1000,
        search=Search(0.0, 40.0),
    )
    elastic_sigma: float = setting(
        5.0, "Standard deviation of the elastic distortion's blur, in pixels.", gt=0, le=28
    )
    shift: float = setting(
        1.0, "Maximum random shift, in pixels.", ge=0, le=14, search=Search(0.0, 3.0)
    )
    rotation: float = setting(
        7.0, "Maximum random rotation, in degrees.", ge=0, le=180, search=Search(0.0, 20.0)
    )
    scale: float = setting(
        0.07,
        "Maximum random change of height and width, as a fraction.",
        ge=0,
        lt=1,
        search=Search(0.0, 0.2),
    )
    shear: float = setting(
        0.07, "Maximum random shear, in pixels per row.", ge=0, le=2, search=Search(0.0, 0.3)
    )
    precision: Precision = precision_setting()
    learning_rate: float = setting(
        2e-3, "Initial learning rate of Adam.", gt=0, le=1, search=Search(3e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Learning-rate schedule over all epochs."
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if not self.elastic:
            reasons["elastic_sigma"] = "--elastic is 0"
        if self.network == "softmax":
            hidden = "--network softmax has no hidden layers"
            reasons |= {"width": hidden, "dropout": hidden}
        if self.network == "lenet5_1998":
            reasons["width"] = "--network lenet5_1998 has the widths of the paper"
        return reasons
