"""Combines several networks with the same inputs and outputs into one."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import EnsembleMean


def ensemble(networks: Sequence[keras.Model], name: str = "ensemble") -> keras.Model:
    """Builds a network whose outputs are the means of other networks' outputs.

    In training the members' outputs are concatenated along the batch axis, so that each member is
    trained independently (see `EnsembleMean`); the loss must repeat its targets accordingly.

    Args:
        networks: Functional models with different names and the same inputs and outputs: one
            tensor or a dictionary of tensors.
        name: Model name. Defaults to `"ensemble"`.

    Returns:
        A functional `keras.Model` with the members' inputs and outputs.

    Raises:
        ValueError: If there is no network, two networks differ in inputs or outputs, or two have
            the same name.

    Example:

    >>> from dlrecipes.models import ensemble, tagger
    >>> model = ensemble([tagger(9, 3, name="a"), tagger(9, 3, name="b")])
    >>> model.output["tags"].shape
    (None, None, 3)

    Reference:
        Hansen and Salamon, 1990, "Neural network ensembles". https://doi.org/10.1109/34.58871
    """
    if not isinstance(networks, tuple | list) or any(
        not isinstance(network, keras.Model) for network in networks
    ):
        raise ValueError(f"networks must be a list of keras.Model, not {networks!r}.")
    if not networks:
        raise ValueError("An ensemble needs at least one network.")
    _check(networks)
    first_input = networks[0].input
    if isinstance(first_input, dict):
        inputs = {key: _input_like(tensor, key) for key, tensor in first_input.items()}
    else:
        inputs = _input_like(first_input, first_input.name)
    members = [network(inputs) for network in networks]
    if isinstance(members[0], dict):
        outputs = {
            key: EnsembleMean(name=f"mean_{key}")([member[key] for member in members])
            for key in members[0]
        }
    else:
        outputs = EnsembleMean(name="mean")(members)
    return keras.Model(inputs, outputs, name=name)


def _check(networks) -> None:
    first, *others = networks
    for tensors in (first.input, first.output):
        if isinstance(tensors, tuple | list):
            raise ValueError(
                f"inputs and outputs must be one tensor or a dictionary, but {first.name} has "
                f"{type(tensors).__name__}s."
            )
    for other in others:
        if _sizes(other.input) != _sizes(first.input) or (
            _sizes(other.output) != _sizes(first.output)
        ):
            raise ValueError(f"{other.name} and {first.name} differ in inputs or outputs.")
    names = [network.name for network in networks]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"networks must have different names, but {sorted(repeated)[0]!r} is repeated: give "
            "each network its own `name`."
        )


def _sizes(tensors):
    """Returns the shapes of a dictionary of tensors by name, or the shape of one tensor."""
    if isinstance(tensors, dict):
        return {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return getattr(tensors, "shape", None)


def _input_like(tensor, name: str):
    return keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
