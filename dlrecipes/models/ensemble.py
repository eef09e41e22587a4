"""Several networks of the same inputs and outputs as one."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import EnsembleMean


def ensemble(networks: Sequence[keras.Model], name: str = "ensemble") -> keras.Model:
    """Builds a network whose outputs are the means of other networks' outputs.

    In training the members' outputs stand one below the other in the batch, so that each
    member is trained for itself (`EnsembleMean`): the loss must repeat its targets.

    Args:
        networks: Functional models, each of another name, with the same inputs and outputs:
            one plain tensor or a dictionary of several.
        name: Name of the model.

    Returns:
        A functional `keras.Model` with the members' inputs and outputs.

    Raises:
        ValueError: If there is no network, they differ in inputs or outputs, or two have the
            same name.

    Example:

    >>> from dlrecipes.models import tagger
    >>> model = ensemble([tagger(9, 3, name="a"), tagger(9, 3, name="b")])
    >>> model.output["tags"].shape
    (None, None, 3)

    Reference:
        Hansen and Salamon, 1990, "Neural network ensembles".
    """
    if not isinstance(networks, tuple | list) or any(
        not isinstance(one, keras.Model) for one in networks
    ):
        raise ValueError(f"networks must be a list of keras.Model, not {networks!r}.")
    if not networks:
        raise ValueError("An ensemble needs at least one network.")
    _check(networks)
    given = networks[0].input
    if isinstance(given, dict):
        inputs = {key: _like(tensor, key) for key, tensor in given.items()}
    else:
        inputs = _like(given, given.name)
    found = [network(inputs) for network in networks]
    if isinstance(found[0], dict):
        outputs = {
            key: EnsembleMean(name=f"mean_{key}")([one[key] for one in found]) for key in found[0]
        }
    else:
        outputs = EnsembleMean(name="mean")(found)
    return keras.Model(inputs, outputs, name=name)


def _check(networks) -> None:
    first, *others = networks
    for tensors in (first.input, first.output):
        if isinstance(tensors, tuple | list):
            raise ValueError(
                f"inputs and outputs must be one tensor or a dictionary, unlike {first.name}'s."
            )
    for other in others:
        if _sizes(other.input) != _sizes(first.input) or (
            _sizes(other.output) != _sizes(first.output)
        ):
            raise ValueError(f"{other.name} and {first.name} differ in inputs or outputs.")
    names = [one.name for one in networks]
    if repeated := {each for each in names if names.count(each) > 1}:
        raise ValueError(
            f"networks must differ in name, not all be {sorted(repeated)[0]!r}: give each network "
            "its own `name`."
        )


def _sizes(tensors):
    """Returns the shapes of tensors by name, or that of a plain one."""
    if isinstance(tensors, dict):
        return {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return getattr(tensors, "shape", None)


def _like(tensor, name: str):
    return keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
