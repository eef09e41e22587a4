"""Oracles of keras-tuner, which choose the trials, with state that survives a kill."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError
from dlrecipes.tuning.spec import DEFAULTS, SearchSpec, hyperparameters, settings_of

# Attempts to choose settings that can be combined.
ATTEMPTS = 100


class AtomicState:
    """Makes an oracle write its state atomically: it may be killed at any time."""

    # Methods of keras-tuner's Oracle.
    _get_oracle_fname: Callable[[], str]
    _get_trial_dir: Callable[[str], str]
    get_state: Callable[[], dict[str, Any]]

    def save(self) -> None:
        """Writes the oracle's state."""
        atomic_write(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial_: Any) -> None:
        path = Path(self._get_trial_dir(trial_.trial_id)) / "trial.json"
        atomic_write(path, json.dumps(trial_.get_state()))


class DefaultsFirst(AtomicState):
    """Makes the first trial of an oracle that chooses at random use the recipe's defaults.

    Later trials have settings that can be combined, as far as such are found.
    """

    spec: SearchSpec
    start_order: list[str]
    hyperparameters: keras_tuner.HyperParameters

    def _random_values(self) -> dict[str, Any] | None:
        if not self.start_order:
            return {**hyperparameters(self.spec).values, DEFAULTS: 1}
        for _ in range(ATTEMPTS):
            values = super()._random_values()  # type: ignore[misc]
            if values is None or _fits(self.spec, values):
                break
        return values


def _fits(spec: SearchSpec, values: dict[str, Any]) -> bool:
    try:
        settings_of(spec, values)
    except UsageError:
        return False
    return True


class _Random(DefaultsFirst, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Bayesian(DefaultsFirst, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(DefaultsFirst, keras_tuner.oracles.HyperbandOracle):
    pass


class _Grid(AtomicState, keras_tuner.oracles.GridSearchOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Marks the first trial, which has the defaults."""
        is_first = not self.start_order
        found = super().populate_space(trial_id)
        return {**found, "values": {**found["values"], DEFAULTS: 1}} if is_first else found

    def set_state(self, state: dict[str, Any]) -> None:
        """Finds its place again, which keras-tuner's state lacks: a resumed grid would end."""
        super().set_state(state)
        by_values = functools.cmp_to_key(self._compare)
        values = {name: trial.hyperparameters.values for name, trial in self.trials.items()}
        for name in sorted(values, key=lambda name: by_values(values[name])):
            self._ordered_ids.insert(name)
            self._populate_next.append(name)

    def _get_next_combination(self, values: dict[str, Any]) -> dict[str, Any] | None:
        own = {name: value for name, value in values.items() if name != DEFAULTS}
        return super()._get_next_combination(own)


ORACLES = {"random": _Random, "bayesian": _Bayesian, "hyperband": _Hyperband, "grid": _Grid}


def make_oracle(spec: SearchSpec) -> Any:
    """Returns the oracle that chooses a search's trials."""
    shared = {
        "objective": keras_tuner.Objective(*spec.objective),
        "hyperparameters": hyperparameters(spec),
        "allow_new_entries": True,
        "tune_new_entries": True,
        # Impossible architectures must not end a search.
        "max_consecutive_failed_trials": 10**6,
    }
    if spec.tuner == "bayesian":
        # keras-tuner's default, three per setting, exceeds most searches.
        shared["num_initial_points"] = max(2, min(3 * len(spec.space), spec.trials // 3))
    bound = "max_epochs" if spec.tuner == "hyperband" else "max_trials"
    shared[bound] = spec.epochs if spec.tuner == "hyperband" else spec.trials
    # keras-tuner takes seed 0 for no seed.
    oracle: Any = ORACLES[spec.tuner](seed=spec.seed + 1, **shared)
    oracle.spec = spec
    return oracle
