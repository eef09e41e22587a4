"""Copies the weights of one model into another, layer by layer, as `dlrecipes run --start` does."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np

from dlrecipes.layers import LinearChainCRF

# Below this fraction of the weights' elements outside heads and vocabularies, nothing useful is
# taken from another model.
MIN_FRACTION = 0.5
# Names of rows, taken or new, that a record spells out: those of classes, but not all words.
MOST_NAMED = 20
_NUMBER = re.compile(r"_\d+$")

RowNames = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class NamedRows:
    """The names of a layer's rows, such as classes or words, that the other model knows or not.

    Args:
        taken: Names whose rows were copied.
        new: Names whose rows keep initial values.
    """

    taken: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        kinds = {"taken": self.taken, "new": self.new}
        count = f"{len(self.taken):,} of {len(self.taken) + len(self.new):,}"
        short = {kind: names for kind, names in kinds.items() if 0 < len(names) <= MOST_NAMED}
        return "; ".join([count, *(f"{kind}: {', '.join(own)}" for kind, own in short.items())])


@dataclass(frozen=True)
class Transfer:
    """A record of the weights that a model took from another one.

    Args:
        taken: Number of weights that were copied, whole or in part.
        total: Number of weights of the model.
        new: Names of layers that keep initial weights.
        rows: For each layer that was copied by names, such as those of classes: the names that
            were taken, and the new ones. Defaults to none.
        fraction: Fraction of the elements outside heads and vocabularies that was copied.
            Defaults to 1.0.
        members: Number of ensemble members of the model, 1 for a single network. Defaults to 1.
        source_members: The same for the other model. Defaults to 1.
    """

    taken: int
    total: int
    new: tuple[str, ...]
    rows: Mapping[str, NamedRows] = field(default_factory=dict)
    fraction: float = 1.0
    members: int = 1
    source_members: int = 1

    @property
    def useful(self) -> bool:
        """Whether enough was copied for a start: half of the elements outside heads."""
        return self.taken > 0 and self.fraction >= MIN_FRACTION

    def __str__(self) -> str:
        parts = [f"{self.taken} of {self.total} weights"]
        if self.new:
            parts.append(f"new: {', '.join(self.new)}")
        if self.members > self.source_members > 1:
            parts.append(f"{self.members} members begin with {self.source_members} in turn")
        elif self.members > self.source_members:
            parts.append(f"the {self.members} members begin with the same network")
        alike: dict[NamedRows, list[str]] = defaultdict(list)
        for layer, rows in self.rows.items():
            alike[rows].append(layer)
        if alike:
            named = [f"{', '.join(layers)} ({rows})" for rows, layers in alike.items()]
            parts.append(f"by name: {', '.join(named)}")
        return "; ".join(parts)


@dataclass(frozen=True)
class _Weight:
    """One weight: its ensemble member, its place in it, its layer and its variable."""

    member: int
    place: tuple[str, ...]
    layer: keras.Layer
    variable: Any


def copy_weights(
    model: keras.Model,
    source: keras.Model,
    names: RowNames | None = None,
    source_names: RowNames | None = None,
) -> Transfer:
    """Copies each weight whose layer has the same place, name and shape in both models.

    Layers without a name of their own are matched by class and order. In an ensemble each member
    takes the weights of the source's member of that number; with fewer members in the source they
    are used in turn. A layer whose rows have names takes the rows of the names that both models
    know, and keeps its initial values elsewhere. Rows with the same name, such as the four edges of
    a class, are matched in their order. A row that stands for nothing, such as the background's,
    has the name `""`.

    Args:
        model: Model to copy into, built.
        source: Model to copy from, built.
        names: Names of a layer's rows, such as classes or words, by layer. Defaults to none.
        source_names: The same for `source`. Defaults to none.

    Returns:
        A record of the copy.

    Example:

    >>> import keras
    >>> from dlrecipes.models import small_cnn
    >>> from dlrecipes.recipe.transfer import copy_weights
    >>> two, three = small_cnn(2, (28, 28, 1)), small_cnn(3, (28, 28, 1))
    >>> str(copy_weights(three, two)).partition("; ")[2]
    'new: predictions'
    """
    names, source_names = names or {}, source_names or {}
    sources = {(w.member, w.place): w for w in _weights(source)}
    members = 1 + max((member for member, _ in sources), default=0)
    weights = list(_weights(model))
    heads = output_layers(model)
    taken, elements, copied = 0, 0, 0
    fresh: dict[str, None] = {}
    rows: dict[str, NamedRows] = {}
    for weight in weights:
        layer = weight.layer.name
        other = sources.get((weight.member % members, weight.place))
        own = names.get(layer)
        known = source_names.get(other.layer.name) if other else None
        how = _copy(weight, other, own, known)
        if how == "rows" and own is not None and known is not None:
            rows[layer] = _named_rows(own, known)
        taken += how is not None
        if how is None:
            fresh[layer] = None
        if layer not in names and layer not in heads:
            size = int(np.prod(weight.variable.shape))
            elements, copied = elements + size, copied + size * (how is not None)
    fraction = copied / elements if elements else float(taken > 0)
    own_members = 1 + max((weight.member for weight in weights), default=0)
    return Transfer(taken, len(weights), tuple(fresh), rows, fraction, own_members, members)


def _named_rows(names: Sequence[str], known: Sequence[str]) -> NamedRows:
    each, others = dict.fromkeys(filter(None, names)), set(known)
    return NamedRows(
        tuple(name for name in each if name in others),
        tuple(name for name in each if name not in others),
    )


def output_layers(model: keras.Model) -> list[str]:
    """Returns the names of the layers with weights that compute a model's outputs.

    Args:
        model: Model, or trainer of one in its attribute `network`.
    """
    network = getattr(model, "network", model)
    layers: dict[str, None] = {}
    pending = list(getattr(network, "outputs", None) or ())
    while pending:
        operation = pending.pop(0)._keras_history.operation
        if isinstance(operation, keras.Model):
            pending += operation.outputs
        elif getattr(operation, "weights", None):
            layers[operation.name] = None
        elif not isinstance(operation, keras.layers.InputLayer):
            pending += [
                tensor for node in operation._inbound_nodes for tensor in node.input_tensors
            ]
    return list(layers)


def input_shapes(model: keras.Model) -> dict[str, tuple[int | None, ...]]:
    """Returns the shapes of the inputs of a model's networks, without the batch, by name.

    Args:
        model: Model, or trainer of one network or several.
    """
    networks = [model] if getattr(model, "inputs", None) else _models(model)
    prefix = len(networks) > 1
    return {
        f"{network.name} {tensor.name}" if prefix else tensor.name: tuple(tensor.shape[1:])
        for network in networks
        for tensor in getattr(network, "inputs", None) or ()
    }


def _copy(
    weight: _Weight,
    other: _Weight | None,
    names: Sequence[str] | None,
    known: Sequence[str] | None,
) -> Literal["whole", "rows"] | None:
    """Copies a weight; returns whether whole or the rows of common names, `None` for nothing."""
    if other is None:
        return None
    variable, values = weight.variable, np.asarray(other.variable)
    shape = tuple(variable.shape)
    if names is None or known is None or list(names) == list(known):
        if shape != values.shape:
            return None
        variable.assign(values)
        return "whole"
    axes = _named_axes(weight.layer, shape, len(names))
    if axes != _named_axes(other.layer, values.shape, len(known)):
        return None
    if not axes:  # Not indexed by the names.
        return _copy(weight, other, None, None)
    index = {name: row for row, name in enumerate(_numbered(known))}
    pairs = [(row, index[name]) for row, name in enumerate(_numbered(names)) if name in index]
    if not pairs or _other_sizes(shape, axes) != _other_sizes(values.shape, axes):
        return None
    here, there = zip(*pairs, strict=True)
    result = np.array(variable)
    result[_index(here, axes, shape)] = values[_index(there, axes, values.shape)]
    variable.assign(result)
    return "rows"


def _numbered(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yields each name with the number of equal ones before it."""
    counts: Counter[str] = Counter()
    for name in names:
        yield name, counts[name]
        counts[name] += 1


def _other_sizes(shape: Sequence[int], axes: Sequence[int]) -> list[int]:
    return [size for axis, size in enumerate(shape) if axis not in axes]


def _index(rows: Sequence[int], axes: Sequence[int], shape: Sequence[int]) -> tuple:
    every = [rows if axis in axes else range(size) for axis, size in enumerate(shape)]
    return np.ix_(*every)


def _named_axes(layer: keras.Layer, shape: Sequence[int], count: int) -> list[int]:
    """Returns the axes of a weight that are indexed by a layer's names."""
    axes = [axis for axis, size in enumerate(shape) if size == count]
    if isinstance(layer, LinearChainCRF):  # Transitions have names on both axes.
        return axes
    # A kernel may have as many inputs as outputs.
    return axes[-1:] if isinstance(layer, keras.layers.Dense) else axes[:1]


def _weights(model: keras.Model) -> Iterator[_Weight]:
    """Yields the weights of a model, each once, without a trainer's own tables."""
    seen: set[int] = set()
    for weight in _walk(model, 0, ()):
        # Tables that a trainer computes from its data are not trained.
        is_table = weight.layer is model and not weight.variable.trainable
        if id(weight.variable) not in seen and not is_table:
            seen.add(id(weight.variable))
            yield weight


def _walk(layer: keras.Layer, member: int, place: tuple[str, ...]) -> Iterator[_Weight]:
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    counts: dict[str, int] = defaultdict(int)
    for variable in own:
        counts[variable.name] += 1
        yield _Weight(member, (*place, f"{variable.name}:{counts[variable.name]}"), layer, variable)
    models = _models(layer)
    bases = {_NUMBER.sub("", model.name) for model in models}
    is_ensemble = len(models) > 1 and len(bases) == 1
    orders: dict[str, int] = defaultdict(int)
    for child in _children(layer):
        if child in models and (len(models) == 1 or is_ensemble):
            # An ensemble's members have numbers; the name of a network alone does not matter.
            yield from _walk(child, models.index(child) if is_ensemble else member, place)
            continue
        base, is_automatic = _base_name(child)
        name = f"{base}:{orders[base]}" if is_automatic else child.name
        orders[base] += is_automatic
        yield from _walk(child, member, (*place, name))


def _children(layer: keras.Layer) -> list[keras.Layer]:
    return [child for child in layer._layers if isinstance(child, keras.Layer) and child.weights]


def _models(layer: keras.Layer) -> list[keras.Model]:
    return [child for child in _children(layer) if isinstance(child, keras.Model)]


def _base_name(layer: keras.Layer) -> tuple[str, bool]:
    """Returns a layer's name without its number, and whether Keras has chosen it."""
    base = _NUMBER.sub("", layer.name)
    automatic = re.sub(r"\W+", "", type(layer).__name__)
    automatic = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", automatic)
    automatic = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", automatic).lower()
    plain = base.removeprefix("forward_").removeprefix("backward_")
    return base, plain == automatic
