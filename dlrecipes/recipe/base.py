"""The contract of a recipe: its settings, data, model, metrics, figures and exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.options import Options
from dlrecipes.recipe.prediction_memo import PredictionMemo

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import matplotlib.figure
    import numpy as np
    import tensorflow as tf

    from dlrecipes.data.reports import DataReport
    from dlrecipes.export.signatures import Exports
    from dlrecipes.export.version import ModelVersion
    from dlrecipes.recipe.example_files import ExampleFile
    from dlrecipes.recipe.transfer import Transfer

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Splits:
    """The three parts of a dataset, as a recipe represents its examples.

    Args:
        train: Examples that the network learns from.
        validation: Examples for early stopping and tuning.
        test: Examples for the reported metrics, and nothing else.
        description: Facts for the model card: name, sizes, classes. Defaults to none.
        notes: Sentences for the user about how the data was read: what was detected, left out
            or split off. Printed when the data is loaded. Defaults to none.
        training_notes: Sentences about the training, such as that examples are few. Printed by a
            run alone. Defaults to none.
        test_set: Sentences that say what the test examples are, and what their score is not a
            measure of. Part of the closing table and of the model card. Defaults to `""`.
    """

    # Sequences of each recipe's own type.
    train: Any
    validation: Any
    test: Any
    description: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    notes: Sequence[str] = field(default=(), kw_only=True)
    training_notes: Sequence[str] = field(default=(), kw_only=True)
    test_set: str = field(default="", kw_only=True)


class Recipe(ABC):
    """One task, from data to a served model.

    A subclass writes `load_data`, `build` and `dataset`; everything else has a default. A recipe
    has no loop, no files and no printing of its own: the runner calls these methods in this
    order: `load_data`, `build`, `pretrain`, `dataset`, Keras' `fit`, then `set_thresholds`,
    `evaluate`, `figures` and `signatures`.

    Args:
        config: Validated settings, an instance of the recipe's `Config`.
        name: Name of the recipe: the folder of its runs and of its published models.
    """

    Config: ClassVar[type[RecipeConfig]] = RecipeConfig
    # Results of `snapshot` by epoch, available when figures are drawn.
    snapshots: Mapping[int, np.ndarray] = {}
    # The logged name that chooses the best epoch; None keeps the last epoch, and no run stops
    # early. `mode` says whether less or more of it is better.
    monitor: str | None = "val_loss"
    mode: Literal["min", "max"] = "min"
    # Number of first epochs of which none is the best, and after which training may stop early.
    start_from_epoch: int = 0
    # The metric that `dlrecipes tune` optimizes: one of `evaluate`, or a logged one.
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_loss", "min")
    # The task in Hugging Face's terms, for the model card.
    pipeline_tag: ClassVar[str] = "other"
    # Nested mappings of `evaluate` that the closing table and the model card show as well.
    metric_groups: ClassVar[tuple[str, ...]] = ()
    # Whether `pretrain` is called before the first epoch.
    pretrains: bool = False
    # Whether epochs train the network; if `build` computes its weights, one epoch measures them.
    trains: bool = True
    # Whether `predict` of several inputs equals `predict` of each: then they are read in parts.
    independent_inputs: ClassVar[bool] = True

    def __init__(self, config: RecipeConfig, name: str):
        # Each recipe knows its own class of settings.
        self.config: Any = config
        self.name = name
        # Predictions that `evaluate` and `figures` share.
        self.memo = PredictionMemo()

    @abstractmethod
    def load_data(self) -> Splits:
        """Returns the data.

        Raises:
            DataError: If a file cannot be read as it is, with file and line.
        """

    def check(self) -> DataReport:
        """Returns what the data consists of and what is wrong with it; trains nothing.

        `dlrecipes run RECIPE --check` prints it. By default the examples of `load_data` are
        counted, compared and drawn. A recipe that reads files may read them without stopping at
        the first problem (see `dlrecipes.data.reports.images.check_images`).

        Raises:
            DataError: If nothing can be read.
        """
        from dlrecipes.data.reports.splits import report_splits

        return report_splits(self.load_data())

    @abstractmethod
    def build(self, splits: Splits) -> keras.Model:
        """Returns the model, built and compiled.

        Args:
            splits: The data: vocabularies, classes and sizes come from `splits.train`.
        """

    @abstractmethod
    def dataset(
        self, model: keras.Model, examples: Sequence[Any], start_epoch: int | None = None
    ) -> tf.data.Dataset | tuple[tf.data.Dataset, int]:
        """Returns batches for `fit`.

        Args:
            model: The model that `build` returned.
            examples: One part of the splits.
            start_epoch: First epoch of a training stream, counted from 0; `None` for one pass in
                the data's own order, for evaluation.

        Returns:
            A dataset that ends after one pass; or an endless one, which begins at `start_epoch`,
            with the number of steps of one epoch. With an endless stream whose order depends on
            the epoch alone (`dlrecipes.data.batches`) a run that is resumed ends with the weights
            of one that was not interrupted.
        """

    def initialize(self, model: keras.Model, source: keras.Model) -> Transfer:
        """Copies the weights that a new run begins with, as `--start` asks for.

        By default each weight of the same layer and shape is copied; layers in `row_names` take
        the rows of the names that both models know. Other layers keep their initial weights, such
        as the last one for another number of classes.

        Args:
            model: The model that `build` returned.
            source: The published model, not compiled.

        Returns:
            A record of the copy; the run ends with an error if it is not `useful`.
        """
        from dlrecipes.recipe.transfer import copy_weights

        return copy_weights(model, source, self.row_names(model), self.row_names(source))

    def pretrain(self, model: keras.Model, splits: Splits, folder: Path) -> np.ndarray | None:
        """Trains a new run's model before its first epoch, such as layer by layer.

        Called if `pretrains` is true and the run begins with no published version. By default
        nothing.

        Args:
            model: The model that `build` returned, on one device.
            splits: The data; only `splits.train` may be learned from.
            folder: Folder for checkpoints, from which pre-training that was killed resumes (see
                `dlrecipes.training.pretrain`).

        Returns:
            An array to keep, which `figures` finds as `self.snapshots[0]`, or `None`.
        """
        return None

    def row_names(self, model: keras.Model) -> Mapping[str, Sequence[str]]:
        """Returns what the rows of layers stand for, such as words, by the layers' names.

        By default `model.class_names`, if there are any, for the layers of the outputs. A name with
        several rows is repeated; a row that belongs to no name, such as the background's, has `""`.

        Args:
            model: The model that `build` returned, or a published one.
        """
        from dlrecipes.recipe.transfer import output_layers

        names = getattr(model, "class_names", None)
        return dict.fromkeys(output_layers(model), tuple(names)) if names else {}

    def callbacks(self, model: keras.Model, splits: Splits) -> Sequence[keras.callbacks.Callback]:
        """Returns callbacks of `fit` in addition to the runner's own; by default none.

        They are called before the checkpoints are written.

        Args:
            model: The model that `build` returned.
            splits: The data.
        """
        return []

    def set_thresholds(self, model: keras.Model, splits: Splits) -> None:  # noqa: B027
        """Chooses what depends on a trained model's predictions, such as thresholds.

        Called with the weights of the best epoch, before `evaluate`. A value that it sets on
        the model must be part of the model's configuration or a weight, so that it is published.
        By default nothing.

        Args:
            model: The trained model.
            splits: The data; only `splits.validation` may decide.
        """

    def evaluate(self, model: keras.Model, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the task's metrics by name; by default the model's own loss and metrics.

        Args:
            model: The trained model.
            splits: The data.
            part: Name of the part to evaluate.

        Returns:
            Numbers, or mappings from names to numbers, by name.
        """
        batches, steps = batches_and_steps(self.dataset(model, getattr(splits, part)))
        return model.evaluate(batches, steps=steps, return_dict=True, verbose=0)

    def labels(self, model: keras.Model, examples: Any) -> tuple[Sequence[str], Sequence[str]]:
        """Returns the labels that a model knows and those of examples, to name unknown ones.

        By default `model.class_names` and `examples.names`, if both have them.

        Args:
            model: The trained model.
            examples: One part of the splits, perhaps of other data.
        """
        known = getattr(model, "class_names", None)
        names = getattr(examples, "names", None)
        return (known, names) if known and names else ((), ())

    def describe(self, model: keras.Model, splits: Splits) -> dict[str, Any]:
        """Returns further facts of the trained model for `metrics.json`; by default none."""
        return {}

    def snapshot(self, model: keras.Model, splits: Splits) -> np.ndarray | None:
        """Returns an array to keep of each epoch, for figures over time; by default nothing.

        Args:
            model: The model after the epoch.
            splits: The data.
        """
        return None

    def figures(
        self, model: keras.Model, splits: Splits
    ) -> Iterator[tuple[str, matplotlib.figure.Figure | np.ndarray]]:
        """Yields figures beyond the learning curves, each with its file name; by default none.

        An array of frames, uint8 of shape `(frames, height, width, 1 or 3)`, becomes an animated
        GIF.
        """
        yield from ()

    def signatures(self, model: keras.Model, splits: Splits) -> Exports:
        """Returns what is published, with real inputs for the verification.

        By default the model's own inputs and outputs, verified on a few test examples.

        Args:
            model: The trained model; or the one reloaded from its `.keras` file.
            splits: The data.
        """
        from dlrecipes.export.signatures import exports_from_model

        batches, _ = batches_and_steps(self.dataset(model, splits.test[:8]))
        inputs, *_ = next(iter(batches))
        # A trainer publishes the network that it trains.
        network = getattr(model, "network", model)
        return exports_from_model(network, inputs)

    def predict(
        self, version: ModelVersion, inputs: Sequence[Any], options: Options | None = None
    ) -> list[Any]:
        """Returns predictions as data that `json.dumps` takes; by default outputs by name.

        By default each input is JSON for one example: a value for a model with one input, or an
        object of values by input name. A model of strings takes the text itself, and one of
        encoded files (an input named `*_bytes`) a file's path.

        Args:
            version: The published version.
            inputs: Inputs as the user typed them.
            options: Validated `PredictOptions`; `None` for a recipe without that class.

        Raises:
            UsageError: If an input does not fit the model.
        """
        from dlrecipes.recipe.prediction import predict_by_signature

        return predict_by_signature(version, inputs)

    def present(self, prediction: Any) -> str:
        """Returns one element of `predict`'s list as text for a terminal.

        By default one line per output; `dlrecipes predict --json` prints the data instead.
        """
        from dlrecipes.recipe.prediction import present

        return present(prediction)

    def example_inputs(
        self, splits: Splits
    ) -> Sequence[str | ExampleFile | tuple[str | ExampleFile, ...]]:
        """Returns test inputs that the closing message passes to `dlrecipes predict`; default none.

        Each is a command of its own; the elements of a tuple go into one command. An `ExampleFile`
        is written to the run's folder `examples`, and the command has its path.
        """
        return []


def batches_and_steps(
    dataset: tf.data.Dataset | tuple[tf.data.Dataset, int],
) -> tuple[tf.data.Dataset, int | None]:
    """Returns what `Recipe.dataset` returned as a dataset and its steps per epoch.

    Args:
        dataset: A dataset that ends, or a dataset with its steps per epoch.

    Returns:
        The dataset, and the steps; `None` for a dataset that ends.
    """
    return dataset if isinstance(dataset, tuple) else (dataset, None)
