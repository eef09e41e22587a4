"""The front door: recipes, runs and published models from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import UsageError
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import (
    CONFIG_FILE,
    EXTRAS,
    ModelVersion,
    locate_version,
)
from dlrecipes.recipe.published import recipe_of
from dlrecipes.recipe.registry import Source, find, sources

if TYPE_CHECKING:
    import keras

    from dlrecipes.export.litert_interpreter import LiteRTModel
    from dlrecipes.recipe import Options, Recipe, RecipeConfig
    from dlrecipes.recipe.guard import Predictions
    from dlrecipes.runner.run import Result


def list_recipes() -> dict[str, str]:
    """Returns the recipes that are known by name, each with the line that describes it.

    Example:

    >>> import dlrecipes
    >>> sorted(dlrecipes.list_recipes())[-1]
    'slot_filling'
    """
    return {source.name: source.summary for source in sources()}


def load_recipe(recipe: str | Path, **settings: Any) -> Recipe:
    """Returns a recipe with its settings, ready to run.

    Args:
        recipe: Name of a recipe (`list_recipes`), or the folder of one.
        **settings: Settings by name, as `dlrecipes info RECIPE` lists them; the others keep
            their defaults.

    Raises:
        UsageError: If there is no such recipe, a setting is unknown or wrong (the message names
            the nearest valid one), or another setting leaves it without effect.

    Example:

    >>> import dlrecipes
    >>> recipe = dlrecipes.load_recipe("slot_filling", units=64)
    >>> recipe.config.units, recipe.config.cell
    (64, 'lstm')
    """
    if not isinstance(recipe, str | Path):
        raise UsageError(f"load_recipe: expected a name or a folder, got {type(recipe).__name__}.")
    source = find(str(recipe))
    config = source.config().parse(settings, source.name)
    config.check_effect(settings, source.name)
    return source.make(config.located())


def run(
    recipe: Recipe | str | Path,
    *,
    name: str | None = None,
    resume: bool = False,
    epochs: int | None = None,
    patience: int | None = None,
    strategy: str = "none",
    runs_dir: str | Path = "runs",
    models_dir: str | Path = "saved_models",
    say: Callable[[str], None] = print,
) -> Result:
    """Trains, evaluates and publishes a recipe, like `dlrecipes run`.

    Args:
        recipe: A recipe (`load_recipe`, or an object of your own class), a name or a folder.
        name: Name of the run; `None` names it after the time. Defaults to `None`.
        resume: Whether to resume the unfinished run of that name, or the latest one, with the
            run's own settings. Defaults to `False`.
        epochs: New maximum number of epochs of a resumed run, which may be a finished one.
            Defaults to `None`: the run's own.
        patience: New patience of a resumed run. Defaults to `None`: the run's own.
        strategy: `"none"`, or `"mirrored"` for all devices of this machine. Defaults to `"none"`.
            Several workers each run `dlrecipes run --strategy multi_worker`.
        runs_dir: Folder of all runs. Defaults to `"runs"`.
        models_dir: Folder of published models. Defaults to `"saved_models"`.
        say: Called with each line of progress. Defaults to `print`.

    Returns:
        The run's `folder`, the published `version`, and its `metrics`.

    Raises:
        RecipeError: If data, training or publishing fail in a way the user can fix.
        KeyboardInterrupt: On Ctrl-C; `resume=True` continues the run.
    """
    from dlrecipes.recipe import Recipe
    from dlrecipes.runner import extension, run_folder
    from dlrecipes.runner.launch import Launch, run_recipe

    loaded = load_recipe(recipe) if isinstance(recipe, str | Path) else recipe
    if not isinstance(loaded, Recipe):
        raise UsageError(
            f"run: expected a recipe, its name or its folder, got {type(recipe).__name__}.",
            "'dlrecipes list' shows the names.",
        )
    options = Launch(name, resume, strategy, Path(runs_dir), Path(models_dir), say)
    folder = None
    given = {"epochs": epochs, "patience": patience}
    changes = {key: value for key, value in given.items() if value is not None}
    if resume:
        runs = options.runs_dir / loaded.name
        folder = run_folder.unfinished_folder(runs, name, finished=bool(changes))
        config = type(loaded.config)
        stored = folder / run_folder.CONFIG_FILE
        own = config.parse(config.from_yaml(stored), str(stored))
        loaded.config = extension.extend(folder, own, changes)
    elif changes:
        raise UsageError(
            f"run: {' and '.join(changes)} are for resume=True.", "Give settings to load_recipe."
        )
    else:
        run_folder.check_new(options.runs_dir / loaded.name, name)
    return run_recipe(loaded, folder, options)


class Model:
    """A published model: what `load` returns.

    Args:
        version: The published version.
        source: The recipe that presents its inputs and outputs; `None` for a model that was
            published without one.
        saved_model: Whether `predict` uses the SavedModel even where `model.tflite` can answer.
            Defaults to `False`.
    """

    def __init__(self, version: ModelVersion, source: Source | None, saved_model: bool = False):
        self.version = version
        self._source = source
        self._answering = version if saved_model else LiteVersion(version.folder)
        self._recipe: Recipe | None = None
        self._predictions: Predictions | None = None

    def __repr__(self) -> str:
        return f"<dlrecipes.Model {self.version.folder}>"

    @property
    def folder(self) -> Path:
        """The version's folder."""
        return self.version.folder

    def predict(self, inputs: Sequence[Any] = (), **options: Any) -> list[Any]:
        """Returns predictions as data: numbers, strings, lists and dictionaries.

        Args:
            inputs: Inputs as the recipe takes them on the command line: sentences, paths of
                images; for a model without a recipe, one element per example. Defaults to none,
                for a recipe whose options say everything.
            **options: Options of the recipe's predictions (`dlrecipes predict RECIPE --help`).

        Raises:
            RecipeError: If an input does not fit, or an option is unknown.
        """
        if isinstance(inputs, str | bytes) or not isinstance(inputs, Iterable):
            kind = type(inputs).__name__
            raise UsageError(f"predict: expected a list of inputs, got {kind}.", "Put it in [].")
        if self._source is None:
            from dlrecipes.recipe.prediction import predict_by_signature

            if options:
                raise UsageError(f"{self.folder}: this model has no recipe, and no options.")
            return predict_by_signature(self.version, inputs)
        if self._predictions is None:
            self._predictions = self._source.predictions(self._settings())
        options_ = self._options(options)
        return self._predictions.predict(self._answering, list(inputs), options_)

    def keras_model(self, compile: bool = True) -> keras.Model:
        """Returns the Keras model, to train further or to import.

        Args:
            compile: Whether to restore optimizer, losses and metrics. Defaults to `True`.
        """
        return self.version.keras_model(compile)

    def function(self, signature: str = "serving_default") -> Callable[..., dict[str, Any]]:
        """Returns a function of the SavedModel: tensors by name in, tensors by name out.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
        """
        return self.version.function(signature)

    def litert(self, threads: int = 1) -> LiteRTModel:
        """Returns the LiteRT model: NumPy arrays by name in, arrays by name out.

        Args:
            threads: Threads of the interpreter. Defaults to 1.
        """
        return self.version.litert(threads)

    @property
    def recipe(self) -> Recipe | None:
        """The recipe that presents inputs and outputs; `None` for a model without one."""
        if self._recipe is None and self._source is not None:
            self._recipe = self._source.make(self._settings())
        return self._recipe

    def _settings(self) -> RecipeConfig:
        """Returns the settings that the model was trained with."""
        assert self._source is not None
        if not (self.folder / EXTRAS / CONFIG_FILE).is_file():
            raise UsageError(
                f"{self.folder}: this model was published without a recipe.",
                "Load it without recipe=...",
            )
        config, file = self._source.config(), self.version.config_file
        return config.parse(config.from_yaml(file), str(file))

    def _options(self, options: dict[str, Any]) -> Options | None:
        assert self._source is not None
        declared = self._source.predict_options()
        if declared is None and options:
            raise UsageError(f"{self._source.name}: its predictions have no options.")
        return declared.parse(options, self._source.name) if declared else None


def load(
    model: str | Path,
    version: int | None = None,
    *,
    recipe: str | Path | None = None,
    models_dir: str | Path = "saved_models",
    saved_model: bool = False,
) -> Model:
    """Returns a published model.

    Args:
        model: Name of a recipe or of a published model, the folder of a model with its
            versions, or the folder of one version.
        version: Version to load. Defaults to the latest.
        recipe: Name or folder of the recipe that presents inputs and outputs. Defaults to the
            one that published the model, where it is known by name.
        models_dir: Folder of published models. Defaults to `"saved_models"`.
        saved_model: Whether `predict` uses the SavedModel, which loads TensorFlow. Defaults to
            `False`: `model.tflite` answers what it can.

    Raises:
        UsageError: If there is no such model or version.
    """
    if not isinstance(model, str | Path):
        raise UsageError(f"load: expected a name or a folder, got {type(model).__name__}.")
    if version is not None and not isinstance(version, int):
        raise UsageError(f"version={version!r}: expected an integer.")
    recipes = [known.name for known in sources()]
    found = locate_version(model, Path(models_dir), version, recipes)
    source = find(str(recipe)) if recipe is not None else _recipe_of(found, model)
    return Model(found, source, saved_model)


def _recipe_of(version: ModelVersion, model: str | Path) -> Source | None:
    """Returns the recipe that published a version, if it is known by name or lies there."""
    if (Path(model).expanduser() / "recipe.py").is_file():
        return find(str(model))
    return recipe_of(version)


def publish(
    model: keras.Model,
    directory: str | Path,
    *,
    examples: Any = None,
    **options: Any,
) -> Model:
    """Publishes a Keras model of your own as a new, verified version.

    SavedModel, LiteRT and `.keras` files are loaded again and compared with the model before
    the version's folder appears. If LiteRT cannot run the model, it is published without a LiteRT
    file, and the reason is printed and stands in the card.

    Args:
        model: A Keras model, built: functional, sequential, or a subclass.
        directory: Folder of the model; versions in it are numbered from 1.
        examples: Inputs on which the files are compared with the model, as the model takes them:
            an array with examples along its first axis, a dictionary of arrays by input name, or
            a list of arrays in the inputs' order. Required without `signatures`. Defaults to
            `None`.
        **options: Further arguments of `dlrecipes.export.publish`: `litert=True` to require a
            LiteRT file, `litert=False` to skip it, `onnx=True` for an ONNX file, `safe=False` to
            allow `Lambda` layers, `signatures` for functions of your own, `metadata` for MediaPipe
            Tasks.

    Returns:
        The published model.

    Raises:
        PublishError: If a file cannot be written or does not agree with the model, or a weight is
            NaN or infinite; nothing is left in `directory` then.
        UsageError: If the examples do not fit the model.

    Example:

    >>> import tempfile
    >>> import keras
    >>> import numpy as np
    >>> import dlrecipes
    >>> model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="y")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x = np.ones((4, 3), "float32")
    ...     published = dlrecipes.publish(model, f"{folder}/net", examples=x)
    ...     list(published.predict([[1, 2, 3]])[0])
    ['y']
    """
    from dlrecipes.export import publish as publish_version

    folder = publish_version(model, Path(directory), examples=examples, **options)
    return Model(ModelVersion(folder), None)
