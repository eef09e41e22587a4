"""Specification of a search: a recipe's declared ranges in keras-tuner's terms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras_tuner
import yaml

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.options import Search, spelled
from dlrecipes.tuning.conditions import conditions, in_order, searched

DIGITS = 4
HYPERBAND_EPOCHS = "tuner/epochs"
# Marks the trial with the recipe's defaults, which may lie outside of the ranges.
DEFAULTS = "tuner/defaults"


@dataclass(frozen=True)
class SearchSpec:
    """Specification of a search.

    Args:
        recipe: The recipe's name or folder.
        config: Its class of settings.
        fixed: Settings that are not tuned, by name. Defaults to none.
        tuner: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`. Defaults to `"random"`.
        trials: Maximum number of trials. Defaults to 10.
        objective: Name of the optimized value, and `"min"` or `"max"`. Defaults to minimizing
            `val_loss`.
        max_epochs: Maximum epochs per trial; `None` for the configuration's. Defaults to `None`.
        seconds: Time limit of the search; `None` for no limit. Defaults to `None`.
        threads: Threads per trial; `None` for all cores. Defaults to `None`.
        workers: Number of trials that run at the same time. Defaults to 1.
        seed: Seed of the choices. Defaults to 0.
        limits: Largest `macs` and `parameters` of a trial, by name. Defaults to no limits.
    """

    recipe: str
    config: type[RecipeConfig]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    tuner: str = "random"
    trials: int = 10
    objective: tuple[str, str] = ("val_loss", "min")
    max_epochs: int | None = None
    seconds: float | None = None
    threads: int | None = None
    workers: int = 1
    seed: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def space(self) -> dict[str, Search]:
        """Search ranges of the settings that are not fixed and can have an effect.

        Epochs are left out if they are limited.
        """
        bounded = {"epochs"} if self.max_epochs is not None or self.tuner == "hyperband" else set()
        left = self.config.search_space().keys() - self.fixed.keys() - bounded
        space = {name: one for name, one in self.config.search_space().items() if name in left}
        return searched(self.config, self.fixed, space)

    @cached_property
    def conditions(self) -> dict[str, dict[str, list[Any]]]:
        """For which choices of the others each searched setting has an effect."""
        return conditions(self.config, self.fixed, self.space)

    @property
    def epochs(self) -> int:
        """Maximum epochs per trial."""
        usual = self.config.parse(self.fixed).epochs
        return usual if self.max_epochs is None else self.max_epochs


def hyperparameters(
    spec: SearchSpec, hp: keras_tuner.HyperParameters | None = None
) -> keras_tuner.HyperParameters:
    """Declares a search space in keras-tuner's terms.

    Args:
        spec: Specification; the configuration's defaults become the space's defaults.
        hp: Hyperparameters to declare the space in. Defaults to new ones.

    Returns:
        The hyperparameters.

    Raises:
        UsageError: If nothing is left to search for.
    """
    hp = keras_tuner.HyperParameters() if hp is None else hp
    if not spec.space:
        raise UsageError("Nothing is left to search for.", "Fix fewer settings.")
    needed = spec.conditions
    for name in in_order(needed):
        with contextlib.ExitStack() as scopes:
            for other, choices in needed[name].items():
                if other in hp:
                    scopes.enter_context(hp.conditional_scope(other, choices))
            _declare(spec, name, hp)
    return hp


def _declare(spec: SearchSpec, name: str, hp: keras_tuner.HyperParameters) -> None:
    """Declares the range of one setting."""
    search, about = spec.space[name], spec.config.model_fields[name]
    if search.choices:
        choices = list(search.choices)
        usual = [choice for choice in choices if spelled(choice) == spelled(about.default)]
        hp.Choice(name, choices, default=[*usual, *choices][0])
        return
    assert search.low is not None
    assert search.high is not None
    is_integer = about.annotation is int
    inside = min(max(about.default, search.low), search.high)
    declare = hp.Int if is_integer else hp.Float
    number: Callable[[Any], int | float] = int if is_integer else float
    declare(
        name,
        number(search.low),
        number(search.high),
        sampling=search.sampling,
        default=number(inside),
    )


def settings_of(spec: SearchSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all settings of a trial, validated, for the values that keras-tuner chose.

    Raises:
        UsageError: If the values cannot be combined.
    """
    space = {} if DEFAULTS in values else spec.space
    chosen = {name: _short(value, space[name]) for name, value in values.items() if name in space}
    epochs = int(values.get(HYPERBAND_EPOCHS, chosen.get("epochs", spec.epochs)))
    config = spec.config.parse({**spec.fixed, **chosen, "epochs": epochs}, "the trial")
    config.check_combination()
    return config.model_dump(mode="json")


def effective(spec: SearchSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the tuned settings of a trial that have an effect."""
    idle = spec.config.parse(settings).without_effect()
    return {name: settings[name] for name in spec.space if name not in idle}


def _short(value: Any, search: Search) -> Any:
    if search.low is None or search.high is None or not isinstance(value, float):
        return value
    # More digits make a configuration hard to read and change nothing.
    return min(max(float(f"{value:.{DIGITS}g}"), search.low), search.high)


def open_folder(folder: Path, spec: SearchSpec) -> bool:
    """Creates a search's folder, or checks that it belongs to this search.

    Returns:
        Whether the folder is new.

    Raises:
        UsageError: If it belongs to another search.
    """
    about = yaml.safe_dump(
        {
            "recipe": spec.recipe,
            "fixed": dict(spec.fixed),
            "tuner": spec.tuner,
            "objective": " ".join(spec.objective),
            "max_epochs": spec.max_epochs,
            "seed": spec.seed,
            **({"limits": dict(spec.limits)} if spec.limits else {}),
            "space": {
                name: list(one.choices) if one.choices else [one.low, one.high, one.sampling]
                for name, one in sorted(spec.space.items())
            },
        },
        allow_unicode=True,
        sort_keys=False,
    )
    path = folder / "search.yaml"
    new = not path.is_file()
    if not new and path.read_text(encoding="utf-8") != about:
        raise UsageError(
            f"{folder}: there is another search of that name.",
            "Choose another --name, or repeat its command to resume it.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, about)
    return new
