"""Several networks of the same inputs and outputs as one."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import EnsembleMean


def ensemble(networks: Sequence[keras.Model], name: str = "ensemble") -> keras.Model:
    """Builds a network whose outputs are the means of other networks' outputs.

    In training the members' outputs stand one below the other in the batch, so that each
    member is trained for itself (`EnsembleMean`): the loss must repeat its targets.

    Args:
        networks: Functional models with the same named inputs, and dictionaries of the
            same outputs.
        name: Name of the model.

    Returns:
        A functional `keras.Model` with the members' inputs and outputs.

    Raises:
        ValueError: If there is no network, or they differ in inputs or outputs.

    Example:

    >>> from dlrecipes.models import tagger
    >>> model = ensemble([tagger(9, 3, name="a"), tagger(9, 3, name="b")])
    >>> model.output["tags"].shape
    (None, None, 3)

    Reference:
        Hansen and Salamon, 1990, "Neural network ensembles".
    """
    if not networks:
        raise ValueError("An ensemble needs at least one network.")
    first = networks[0]
    for other in networks[1:]:
        if set(other.input) != set(first.input) or set(other.output) != set(first.output):
            raise ValueError(f"{other.name} and {first.name} differ in inputs or outputs.")
    inputs = {
        key: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=key)
        for key, tensor in first.input.items()
    }
    found = [network(inputs) for network in networks]
    outputs = {
        key: EnsembleMean(name=f"mean_{key}")([one[key] for one in found]) for key in found[0]
    }
    return keras.Model(inputs, outputs, name=name)
