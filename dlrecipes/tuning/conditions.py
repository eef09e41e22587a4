"""Settings that have an effect only with certain values of others, found by trying them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.options import Search

# Combinations to try. Above this number a random sample is tried: a setting that depends on
# three others with five choices each still has an effect in 160 of them.
COMBINATIONS = 20_000


def searched(
    config: type[RecipeConfig], fixed: Mapping[str, Any], space: Mapping[str, Search]
) -> dict[str, Search]:
    """Returns the ranges without those of settings that never have an effect.

    Args:
        config: Class of settings.
        fixed: Settings that are not tuned, by name.
        space: Search ranges by name.
    """
    effects = _effects(config, fixed, space)
    return {name: search for name, search in space.items() if effects[name] is not None}


def conditions(
    config: type[RecipeConfig], fixed: Mapping[str, Any], space: Mapping[str, Search]
) -> dict[str, dict[str, list[Any]]]:
    """Returns for which choices of the others each searched setting has an effect.

    Args:
        config: Class of settings.
        fixed: Settings that are not tuned, by name.
        space: Search ranges by name.

    Returns:
        For each setting the choices by name, all of which must hold; empty for a setting that has
        an effect with all choices. A setting whose effect depends on the others in another way,
        such as on one of two, has the choices outside of which it never has an effect.
    """
    found: dict[str, dict[str, list[Any]]] = {}
    for name, effect in _effects(config, fixed, space).items():
        found[name] = {
            other: [choice for k, choice in enumerate(space[other].choices) if k in chosen]
            for other, chosen in (effect or {}).items()
            if other != name and len(chosen) < len(space[other].choices)
        }
    return found


def in_order(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the names of settings, each after those that its effect depends on."""
    ordered: list[str] = []
    left = list(found)
    while left:
        ready = [name for name in left if not found[name].keys() & set(left)]
        # Settings that depend on one another have no such order.
        ordered += ready or left[:1]
        left = [name for name in left if name not in ordered]
    return ordered


def _effects(
    config: type[RecipeConfig], fixed: Mapping[str, Any], space: Mapping[str, Search]
) -> dict[str, dict[str, set[int]] | None]:
    """Returns the choices, by number, with which each setting has an effect; `None` for none."""
    base = config.parse(fixed)
    values = {name: _values(config, fixed, name, search) for name, search in space.items()}
    choices = [name for name, search in space.items() if search.choices]
    effects: dict[str, dict[str, set[int]] | None] = dict.fromkeys(space)
    for numbers in _combinations([len(each) for each in values.values()]):
        taken = dict(zip(values, numbers, strict=True))
        chosen = {name: values[name][number] for name, number in taken.items()}
        idle = base.model_copy(update=chosen).without_effect()
        for name in space:
            if name not in idle:
                effect = effects[name] = effects[name] or {other: set() for other in choices}
                for other in choices:
                    effect[other].add(taken[other])
    return effects


def _values(
    config: type[RecipeConfig], fixed: Mapping[str, Any], name: str, search: Search
) -> list[Any]:
    """Returns all choices of a setting, or the ends of its range and its default."""
    default = config.model_fields[name].default
    number = int if config.model_fields[name].annotation is int else float
    values = search.choices or (number(search.low or 0), default, number(search.high or 0))
    # Validated, since a list may be given as text.
    return [getattr(config.parse({**fixed, name: value}), name) for value in values]


def _combinations(counts: list[int]) -> Iterator[tuple[int, ...]]:
    if math.prod(counts) <= COMBINATIONS:
        yield from itertools.product(*map(range, counts))
        return
    generator = random.Random(0)
    for _ in range(COMBINATIONS):
        yield tuple(map(generator.randrange, counts))
