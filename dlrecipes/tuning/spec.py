"""Specification of a search: a recipe's declared ranges in keras-tuner's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_tuner
import yaml

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError
from dlrecipes.recipe.config import RecipeConfig, Search

DIGITS = 4
HYPERBAND_EPOCHS = "tuner/epochs"


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

    @property
    def space(self) -> dict[str, Search]:
        """Search ranges of the settings that are not fixed, without epochs if they are limited."""
        bounded = {"epochs"} if self.max_epochs is not None or self.tuner == "hyperband" else set()
        left = self.config.search_space().keys() - self.fixed.keys() - bounded
        return {name: one for name, one in self.config.search_space().items() if name in left}

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
    for name, search in spec.space.items():
        default = spec.config.model_fields[name].default
        is_integer = spec.config.model_fields[name].annotation is int
        if search.choices:
            choices = list(search.choices)
            hp.Choice(name, choices, default=default if default in choices else choices[0])
            continue
        assert search.low is not None
        assert search.high is not None
        inside = default if search.low <= default <= search.high else search.low
        declare = hp.Int if is_integer else hp.Float
        number: Callable[[Any], int | float] = int if is_integer else float
        declare(
            name,
            number(search.low),
            number(search.high),
            sampling=search.sampling,
            default=number(inside),
        )
    return hp


def settings_of(spec: SearchSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all settings of a trial, validated, for the values that keras-tuner chose.

    Raises:
        UsageError: If the values do not fit together.
    """
    space = spec.space
    chosen = {name: _short(value, space[name]) for name, value in values.items() if name in space}
    epochs = int(values.get(HYPERBAND_EPOCHS, chosen.get("epochs", spec.epochs)))
    config = spec.config.parse({**spec.fixed, **chosen, "epochs": epochs}, "the trial")
    return config.model_dump(mode="json")


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
