"""The settings of the autoencoder and of its predictions."""

from typing import Annotated, ClassVar, Literal

import pydantic

from dlrecipes.recipe import Options, RecipeConfig, Search, setting

Units = Annotated[int, pydantic.Field(ge=1, le=65_536)]

# Hidden units of each network, or filters; PCA has none.
HIDDEN: dict[str, tuple[int, ...]] = {
    "deep": (1000, 500, 250),
    "convolutional": (32, 64),
    "dbn": (500, 500, 2000),
}
# Numbers of the built-in digits, which vary in 64 at most, and of other images.
CODES = 10, 30
# Sides of the built-in images, and the smallest size of a face.
SIDES, SMALLEST_FACE = {"digits": 28, "faces": 32}, 16


class Config(RecipeConfig):
    """Settings of the autoencoder."""

    builtin_settings: ClassVar[tuple[str, ...]] = ("subject",)
    builtin_kind: ClassVar[str] = "subject"

    subject: Literal["digits", "faces"] = setting("digits", "Subject of the built-in images.")
    size: int = setting(
        0,
        "Height and width that images are resized to, in pixels; 0: their longest side, up to 64.",
        ge=0,
        le=512,
    )
    colour: bool = setting(True, "Whether to use colour images.")
    leave_out: str = setting(
        "", "Class to leave out of training, which the network shall find unusual; '' for none."
    )
    epochs: int = setting(60, "Maximum number of epochs.", ge=1, le=100_000)
    patience: int = setting(15, "Epochs without improvement before stopping.", ge=1)
    batch_size: int = setting(
        100, "Batch size.", ge=1, le=65_536, search=Search(choices=(50, 100, 200, 500))
    )
    min_steps_per_epoch: int = setting(
        20, "Minimum steps per epoch; small datasets are repeated.", ge=1, le=100_000
    )
    network: Literal["deep", "convolutional", "dbn", "pca"] = setting(
        "deep",
        "Deep or convolutional autoencoder, deep belief network with a classifier, or PCA.",
        search=Search(choices=("deep", "convolutional")),
    )
    hidden_units: tuple[Units, ...] = setting(
        (),
        "Units of the encoder's hidden layers, or filters; default: 1000,500,250 for deep, 32,64 "
        "for convolutional, 500,500,2000 for dbn.",
    )
    code_units: int = setting(
        0,
        "Numbers that describe an image; 0: 30, or 10 for the built-in digits, which are small.",
        ge=0,
        le=65_536,
    )
    activation: Literal["auto", "sigmoid", "relu", "elu", "tanh", "swish"] = setting(
        "auto", "Activation of the hidden layers; auto: sigmoid with pre-training, else relu."
    )
    pretrain: bool = setting(
        True, "Whether deep and dbn are first trained layer by layer, as Boltzmann machines."
    )
    pretrain_epochs: int = setting(
        20,
        "Epochs of pre-training per layer; small datasets are repeated in each.",
        ge=1,
        le=100_000,
    )
    noise: float = setting(
        0.0,
        "Strength of the noise that the network learns to remove; 0: none.",
        ge=0,
        le=1,
        search=Search(0.0, 0.5),
    )
    noise_kind: Literal["gaussian", "masking"] = setting(
        "gaussian",
        "Noise of a standard deviation, pixels from 0 to 1; or a fraction of pixels set to 0.",
    )
    dropout: float = setting(
        0.0, "Dropout rate of the hidden layers of dbn.", ge=0, lt=1, search=Search(0.0, 0.5)
    )
    input_dropout: float = setting(
        0.0, "Dropout rate of the pixels of dbn.", ge=0, lt=1, search=Search(0.0, 0.3)
    )
    loss: Literal["cross_entropy", "squared_error"] = setting(
        "cross_entropy",
        "Loss of the restored images.",
        search=Search(choices=("cross_entropy", "squared_error")),
    )
    learning_rate: float = setting(
        3e-3, "Initial learning rate of Adam.", gt=0, le=1, search=Search(1e-4, 1e-2, "log")
    )
    lr_schedule: Literal["constant", "cosine"] = setting(
        "cosine", "Learning-rate schedule over all epochs."
    )

    @property
    def side(self) -> int:
        """Height and width of the images; 0 for the longest side of the user's own."""
        return self.size or (SIDES[self.subject] if self.data == "builtin" else 0)

    @property
    def code(self) -> int:
        """Numbers that describe an image."""
        is_small = self.data == "builtin" and self.subject == "digits"
        return self.code_units or (CODES[0] if is_small else CODES[1])

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of the hidden layers, or filters."""
        return self.hidden_units or HIDDEN.get(self.network, ())

    @property
    def machines(self) -> bool:
        """Whether the layers are first trained as Boltzmann machines."""
        return self.pretrain and self.network in ("deep", "dbn") and not self.start

    @property
    def hidden_activation(self) -> str:
        """Activation of the hidden layers."""
        if self.activation != "auto":
            return self.activation
        return "sigmoid" if self.pretrain and self.network == "deep" else "relu"

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.data == "builtin" and self.subject == "digits":
            reasons["colour"] = "the built-in digits are grey"
        if self.network not in ("deep", "dbn"):
            reasons |= dict.fromkeys(
                ("pretrain", "pretrain_epochs"), "it is for --network deep and dbn"
            )
        elif not self.pretrain:
            reasons["pretrain_epochs"] = "--no-pretrain is given"
        if not self.noise:
            reasons["noise_kind"] = "--noise is 0"
        if self.network != "dbn":
            reasons |= dict.fromkeys(("dropout", "input_dropout"), "it is for --network dbn")
        return {**reasons, **self._without_effect_by_network()}

    def _without_effect_by_network(self) -> dict[str, str]:
        if self.network == "dbn":
            units = "the code of --network dbn is its last hidden layer: give --hidden-units"
            own = "it is for autoencoders, not --network dbn"
            return {"code_units": units, "activation": own, "loss": own, "leave_out": own}
        if self.network == "pca":
            names = ("hidden_units", "activation", "noise", "loss", "learning_rate", "lr_schedule")
            closed = "--network pca is computed, not trained"
            return dict.fromkeys((*names, "epochs", "patience", "batch_size"), closed)
        return {}

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problems of settings that cannot be combined."""
        problems = []
        is_machine = self.pretrain and self.network == "deep"
        if is_machine and self.activation not in ("auto", "sigmoid"):
            problems.append(
                (
                    f"--activation {self.activation}: Boltzmann machines have sigmoid units.",
                    "Give --activation sigmoid, or --no-pretrain as well.",
                )
            )
        if self.data == "builtin" and self.subject == "faces" and self.side < SMALLEST_FACE:
            problems.append(
                (
                    f"--subject faces --size {self.size}: faces need at least {SMALLEST_FACE} "
                    "pixels.",
                    f"Give --size {SMALLEST_FACE} or more.",
                )
            )
        return problems


class PredictOptions(Options):
    """Options of 'dlrecipes predict autoencoder'."""

    output_dir: str = setting(".", "Folder to write the restored images to.")
    anomalies: bool = setting(
        False, "Whether to rank the images by error, the least usual first; writes no images."
    )
