"""The settings of image classification and of its predictions."""

from typing import ClassVar, Literal

from dlrecipes.errors import nearest
from dlrecipes.recipe import Options, Search, setting
from dlrecipes.recipe.image_settings import ImageConfig

NETWORKS = (
    *("small_resnet", "small_cnn", "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "googlenet"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
)
APPLICATIONS = "applications:"


class Config(ImageConfig):
    """Settings of image classification."""

    versions: ClassVar[tuple[str, ...]] = ("start", "teacher")
    builtin_settings: ClassVar[tuple[str, ...]] = ("subject", "images")
    builtin_kind: ClassVar[str] = "subject"

    subject: Literal["cats_dogs", "x_or_o"] = setting(
        "cats_dogs", "Built-in data: drawn cats and dogs, or the letters X and O."
    )
    images: int = setting(3000, "Training images of the built-in data.", ge=100, le=1_000_000)
    size: int = setting(
        64, "Height and width that images are resized to, in pixels.", ge=8, le=1024
    )
    epochs: int = setting(16, "Maximum number of epochs.", ge=1, le=100_000)
    patience: int = setting(16, "Epochs without improvement before stopping.", ge=1)
    batch_size: int = setting(
        64, "Batch size.", ge=1, le=65_536, search=Search(choices=(32, 64, 128, 256))
    )
    network: str = setting(
        "small_resnet",
        f"{', '.join(NETWORKS)}, or {APPLICATIONS}NAME, such as {APPLICATIONS}MobileNetV3Small.",
        search=Search(choices=("small_resnet", "small_cnn", "resnet18", "vgg11")),
    )
    weights: str = setting(
        "", "Weights to begin with, for applications: imagenet, or a weights file; '' for none."
    )
    ensemble_size: int = setting(
        1, "Ensemble size; members train independently and are averaged.", ge=1, le=16
    )
    dropout: float = setting(0.0, "Dropout rate.", ge=0, lt=1, search=Search(0.0, 0.5))
    freeze: int = setting(
        0, "First epochs that train the last layer alone, after --start or --weights.", ge=0
    )
    fine_tuning_rate: float = setting(
        0.3, "Learning rate after --freeze, as a fraction of --learning-rate.", gt=0, le=1
    )
    shift: float = setting(
        0.1, "Maximum random shift, as a fraction of the size.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    zoom: float = setting(
        0.1, "Maximum random change of size.", ge=0, lt=1, search=Search(0.0, 0.3)
    )
    rotation: float = setting(0.0, "Maximum random rotation, in degrees.", ge=0, le=180)
    rand_augment: float = setting(
        0.0, "Strength of RandAugment, two random operations per image; 0: none.", ge=0, le=1
    )
    random_erasing: float = setting(
        0.0, "Fraction of an image that random erasing covers at most.", ge=0, le=1
    )
    mixing: Literal["none", "mixup", "cutmix"] = setting(
        "none",
        "Mixes pairs of training images and their classes.",
        search=Search(choices=("none", "mixup", "cutmix")),
    )
    label_smoothing: float = setting(
        0.1, "Label smoothing factor.", ge=0, lt=1, search=Search(0.0, 0.2)
    )
    balance: bool = setting(False, "Whether to weight classes by the inverse of their frequency.")
    learning_rate: float = setting(
        4e-3, "Highest learning rate of AdamW.", gt=0, le=1, search=Search(3e-4, 2e-2, "log")
    )
    ema: float = setting(
        0.0, "Momentum of the moving average of the weights, such as 0.99; 0: none.", ge=0, lt=1
    )
    prune: float = setting(
        0.0, "Fraction of weights to prune while training, the smallest; 0: none.", ge=0, lt=1
    )
    teacher: str = setting(
        "", "Published version to learn from (distillation): its folder, NAME or NAME:VERSION."
    )
    temperature: float = setting(4.0, "Temperature of distillation.", gt=0, le=100)
    teacher_weight: float = setting(
        0.9, "Weight of the teacher's loss; the true classes have the rest.", ge=0, le=1
    )
    quantize_aware: bool = setting(
        False, "Whether the last third of the epochs trains with int8 rounding."
    )
    mirror: bool = setting(
        False, "Whether predictions average an image and its mirror, which doubles their cost."
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect."""
        reasons = super().without_effect()
        if self.network != "small_resnet":
            reasons["depth"] = "it is for --network small_resnet"
        if self.network.startswith(APPLICATIONS):
            reasons["width"] = "networks of keras.applications have fixed widths"
        else:
            reasons["weights"] = f"it is for --network {APPLICATIONS}NAME"
        if not self.freeze:
            reasons["fine_tuning_rate"] = "--freeze is 0"
        if not self.teacher:
            without = "there is no --teacher"
            reasons |= {"temperature": without, "teacher_weight": without}
        return reasons

    def _nearest(self) -> str:
        """Returns the question whether another network was meant, or `""`."""
        # The names of keras.applications begin with a capital letter; these do not.
        applications = [APPLICATIONS + self.network] if self.network[:1].isupper() else []
        return nearest(self.network, NETWORKS) or nearest(self.network, applications)

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns the problems of transfer and of unknown networks."""
        problems = super().contradictions()
        if self.network not in NETWORKS and not self.network.startswith(APPLICATIONS):
            problems.append(
                (
                    f"--network {self.network}: no such network. {self._nearest()}".rstrip(),
                    f"Give {', '.join(NETWORKS)}, or {APPLICATIONS}NAME.",
                )
            )
        if self.freeze >= self.epochs:
            problems.append(
                (
                    f"--freeze {self.freeze} --epochs {self.epochs}: no epoch is left to train "
                    "all layers.",
                    f"Give --epochs {self.freeze + 1} or more.",
                )
            )
        if self.freeze and not (self.start or self.weights):
            problems.append(
                (
                    f"--freeze {self.freeze}: the frozen layers would keep random weights.",
                    "Give --start VERSION or --weights as well.",
                )
            )
        if self.start and self.weights:
            problems.append(
                ("--start and --weights: both say where weights come from.", "Give one of them.")
            )
        return problems


class PredictOptions(Options):
    """Options of 'dlrecipes predict image_classification'."""

    top: int = setting(3, "Number of classes to print.", ge=1, le=1000)
    explain: str = setting("", "Folder to write heat maps to, which show the deciding parts.")
