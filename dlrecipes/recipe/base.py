"""The contract of a recipe: its settings, data, model, metrics, figures and exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlrecipes.recipe.config import Options, RecipeConfig

if TYPE_CHECKING:
    import keras
    import matplotlib.figure
    import numpy as np
    import tensorflow as tf

    from dlrecipes.export.signatures import Exports
    from dlrecipes.export.version import ModelVersion


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set, as a recipe understands its examples.

    Args:
        train: What the network learns from.
        validation: What early stopping and tuning look at.
        test: What is reported, and nothing else.
        description: Facts for the model card: name, sizes, classes.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    test: Sequence[Any]
    description: Mapping[str, Any] = field(default_factory=dict)


class Recipe(ABC):
    """One task, from data to a served model.

    The runner calls `load_data`, `build`, `batches` and Keras' `fit`, then `evaluate`,
    `figures` and `signatures`. A recipe has no loop, no files and no printing of its own.

    Args:
        config: The checked settings.
        name: What the recipe is called: the folder of its runs and its saved models.
    """

    Config: ClassVar[type[RecipeConfig]]
    # What `snapshot` returned, by epoch, when figures are drawn.
    snapshots: Mapping[int, np.ndarray] = {}
    # By what the best epoch is chosen: a logged name, and whether less or more is better. Without
    # one the last epoch is kept, and none ends the run early.
    monitor: str | None = "val_loss"
    # What `dlrecipes tune` looks for: a metric of `evaluate`, or one that is logged.
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_loss", "min")
    # The task by Hugging Face's names, for the model card.
    pipeline_tag: ClassVar[str] = "other"
    # Which mappings of `evaluate` the closing table and the model card tell beside the numbers.
    metric_groups: ClassVar[tuple[str, ...]] = ()
    mode: Literal["min", "max"] = "min"

    def __init__(self, config: RecipeConfig, name: str):
        self.config = config
        self.name = name

    @abstractmethod
    def load_data(self) -> Splits:
        """Returns the data; raises `DataError` where it cannot be read as it is."""

    @abstractmethod
    def build(self, splits: Splits) -> keras.Model:
        """Returns the model, built and compiled."""

    @abstractmethod
    def batches(
        self, model: keras.Model, examples: Sequence[Any], start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches for `fit`, and how many make one pass.

        Args:
            model: What `build` returned.
            examples: One part of the splits.
            start_epoch: The epoch from which an endless training stream begins; `None`
                for one pass in the data's own order.
        """

    @abstractmethod
    def evaluate(self, model: keras.Model, examples: Sequence[Any]) -> dict[str, Any]:
        """Returns the task's metrics by name: numbers, or mappings from names to numbers."""

    def describe(self, model: keras.Model) -> dict[str, Any]:
        """Returns further facts of the model that `metrics.json` keeps beside its parameters."""
        return {}

    def snapshot(self, model: keras.Model, splits: Splits) -> np.ndarray | None:
        """Returns what is kept of each epoch for figures over time; by default nothing.

        Args:
            model: As it is after the epoch.
            splits: The data.
        """
        return None

    @abstractmethod
    def figures(
        self, model: keras.Model, splits: Splits
    ) -> Iterator[tuple[str, matplotlib.figure.Figure | np.ndarray]]:
        """Yields a name and a figure each, or frames of a GIF; learning curves are the runner's.

        Frames are uint8 of shape `(frames, height, width, 1 or 3)`.
        """

    @abstractmethod
    def signatures(self, model: keras.Model, examples: Sequence[Any]) -> Exports:
        """Returns what is published, with real inputs on which it is verified."""

    @abstractmethod
    def predict(self, function: Any, inputs: Sequence[str]) -> list[str]:
        """Returns, for each input, what `dlrecipes predict` prints.

        Args:
            function: The published SavedModel's serving function.
            inputs: As the user typed them.
        """

    def answer(
        self, version: ModelVersion, inputs: Sequence[str], options: Options | None = None
    ) -> list[str]:
        """Returns what `dlrecipes predict` prints: `predict` of the SavedModel.

        A recipe whose `config.py` has a class `PredictOptions` overrides it.

        Args:
            version: The published version.
            inputs: As the user typed them; with options there may be none.
            options: The checked `PredictOptions`; `None` for a recipe that has no such class.
        """
        return self.predict(version.function(), inputs)

    def example_inputs(self, splits: Splits) -> list[str | tuple[str, ...]]:
        """Returns inputs that the closing message suggests to `dlrecipes predict`.

        Each is typed by itself; those of a tuple together.
        """
        return []
