"""A recipe as keras-tuner's hypermodel, for any of its tuners."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner
from keras_tuner.errors import FailedTrialError

from dlrecipes.errors import UsageError
from dlrecipes.recipe import versions
from dlrecipes.recipe.base import batches_and_steps
from dlrecipes.recipe.config import NO_START
from dlrecipes.recipe.registry import find
from dlrecipes.runner import start
from dlrecipes.tuning.spec import SearchSpec, hyperparameters, settings_of

if TYPE_CHECKING:
    import keras

    from dlrecipes.recipe import Recipe, Splits


class HyperModel(keras_tuner.HyperModel):
    """A recipe whose declared search ranges any tuner of keras-tuner explores.

    `build` chooses the settings that have a search range and returns the recipe's compiled model.
    Settings that have an effect only with certain others are in conditional scopes. `fit` trains
    the model on the recipe's training data and validates it after each epoch. The data are loaded
    once and shared by all trials. Unlike `dlrecipes tune`, trials run in this process: an
    impossible architecture or a lack of memory ends the search.

    Args:
        recipe: Name or folder of the recipe.
        **settings: Fixed settings by name, which are not tuned, such as `epochs=4`.

    Raises:
        UsageError: If there is no such recipe, a setting is wrong, or nothing is left to tune.

    Example:

    >>> import tempfile
    >>> import keras_tuner
    >>> import dlrecipes
    >>> hypermodel = dlrecipes.HyperModel("slot_filling", epochs=1, examples=100, units=8)
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, objective="val_loss", max_trials=4, directory=tempfile.mkdtemp()
    ... )
    >>> sorted(space.name for space in tuner.oracle.get_space().space)[:3]
    ['batch_size', 'bidirectional', 'cell']
    """

    def __init__(self, recipe: str, **settings: Any):
        super().__init__(name=recipe)
        self.source = find(recipe)
        config = self.source.config()
        checked = config.parse(settings, recipe).located()
        checked = versions.located(checked, Path("saved_models"), self.source.name)
        fixed = {name: getattr(checked, name) for name in settings}
        self.spec = SearchSpec(recipe, config, fixed, max_epochs=checked.epochs)
        # Refuses a search without anything to tune before any data are loaded.
        hyperparameters(self.spec)
        self._splits: Splits | None = None

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns the compiled model of one choice of settings.

        Args:
            hp: Hyperparameters of keras-tuner, in which the search ranges are declared.
        """
        hyperparameters(self.spec, hp)
        try:
            recipe = self._recipe(hp.values)
        except UsageError as error:  # The search continues.
            raise FailedTrialError(str(error)) from error
        splits = self._data(recipe)
        model = recipe.build(splits)
        if recipe.config.start != NO_START:
            start.initialize(recipe, model, splits)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, **kwargs: Any) -> Any:
        """Returns the history of training a model on the recipe's data.

        Args:
            hp: Hyperparameters that the model was built with.
            model: The model that `build` returned.
            **kwargs: Arguments of Keras' `fit`, such as `callbacks` or `verbose`; `epochs`
                defaults to the recipe's setting.
        """
        recipe = self._recipe(hp.values)
        splits = self._data(recipe)
        batches, steps = batches_and_steps(recipe.dataset(model, splits.train, 0))
        validation, validation_steps = batches_and_steps(recipe.dataset(model, splits.validation))
        # The datasets are shuffled already; Keras would warn that it does not.
        arguments = {"epochs": recipe.config.epochs, "shuffle": False, **kwargs}
        return model.fit(
            batches,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_steps=validation_steps,
            **arguments,
        )

    def _recipe(self, values: Mapping[str, Any]) -> Recipe:
        return self.source.make(self.spec.config.parse(settings_of(self.spec, values)))

    def _data(self, recipe: Recipe) -> Splits:
        # Tuned settings do not change the data: none of them describes it.
        if self._splits is None:
            self._splits = recipe.load_data()
        return self._splits
