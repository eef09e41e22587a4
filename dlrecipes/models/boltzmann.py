"""Restricted Boltzmann machines, alone and stacked."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models._arguments import integers, several


def restricted_boltzmann_machine(
    visible_units: int = 784,
    hidden_units: int = 500,
    visible: str = "bernoulli",
    hidden: str = "bernoulli",
    seed: int | None = None,
    name: str = "restricted_boltzmann_machine",
) -> keras.Model:
    """Builds one restricted Boltzmann machine, from what is seen to its hidden units.

    The layer `rbm` holds the weights and what training needs: samples, energies and the way
    back. `fit` does not train it; a loop of contrastive divergence does, as in the example.
    The sizes by default are those of the first machine of `deep_belief_network`.

    Args:
        visible_units: Number of visible units, at least 1.
        hidden_units: Number of hidden units, at least 1.
        visible: `"bernoulli"`, for values from 0 to 1, or `"gaussian"`, for standardised ones.
        hidden: `"bernoulli"` or `"gaussian"`; not both kinds Gaussian.
        seed: Seed of the samples, or `None`.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `visible`, of shape `(batch, visible_units)`. Output:
        probabilities, or means, of the hidden units, of shape `(batch, hidden_units)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, or a kind of unit is not one of
            those named.

    Example:

    >>> model = restricted_boltzmann_machine(6, 4)
    >>> model.count_params() == 6 * 4 + 6 + 4
    True
    >>> tuple(model.get_layer("rbm").gibbs_step(keras.ops.ones((2, 6))).shape)
    (2, 6)

    One step of contrastive divergence (CD-1), at a rate of 0.1:

    >>> rbm, ops, data = model.get_layer("rbm"), keras.ops, keras.ops.ones((2, 6))
    >>> fantasy = rbm.gibbs_step(data)
    >>> up, down = rbm.hidden_probabilities(data), rbm.hidden_probabilities(fantasy)
    >>> change = ops.transpose(data) @ up - ops.transpose(fantasy) @ down
    >>> _ = rbm.kernel.assign(rbm.kernel + 0.1 * change / 2)
    >>> _ = rbm.visible_bias.assign(rbm.visible_bias + 0.1 * ops.mean(data - fantasy, axis=0))
    >>> _ = rbm.hidden_bias.assign(rbm.hidden_bias + 0.1 * ops.mean(up - down, axis=0))

    Reference:
        Hinton, 2002, "Training products of experts by minimizing contrastive divergence".
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets", for
        the sizes.
    """
    integers(visible_units=visible_units)
    inputs = keras.Input((visible_units,), name="visible")
    layer = RestrictedBoltzmannMachine(hidden_units, visible, hidden, seed=seed, name="rbm")
    return keras.Model(inputs, layer(inputs), name=name)


def deep_belief_network(
    visible_units: int = 784,
    hidden_units: Sequence[int] = (500, 500, 2000),
    num_classes: int = 10,
    visible: str = "bernoulli",
    output_activation=None,
    seed: int | None = None,
    name: str = "deep_belief_network",
) -> keras.Model:
    """Builds a stack of restricted Boltzmann machines with a classifier on top.

    Each machine, `rbm_1` and so on, is first trained for itself on the probabilities that the
    one below gives, by contrastive divergence as `restricted_boltzmann_machine` shows. Then
    the whole is trained as a feed-forward network. Their visible biases serve the first
    stage alone, and have no gradient in the second.

    In the paper the labels are visible units of the uppermost machine, and its hidden ones
    are sampled; here they are read by a layer of their own, `scores`, as in the paper that
    fine-tunes the same stack by back-propagation. With the defaults there are 1,666,794
    parameters.

    Args:
        visible_units: Number of visible units, at least 1.
        hidden_units: Hidden units of each machine, each at least 1, from the lowest up.
        num_classes: Number of classes, at least 1; 0 leaves the classifier out.
        visible: `"bernoulli"`, for values from 0 to 1, or `"gaussian"`, for standardised ones:
            the visible units of the lowest machine.
        output_activation: Activation of the classifier; `None` gives scores.
        seed: Seed of the samples, or `None`; each machine adds its number to it.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `visible`, of shape `(batch, visible_units)`. Output:
        of shape `(batch, num_classes)`, or, without a classifier, the uppermost machine's
        probabilities, of shape `(batch, hidden_units[-1])`.

    Raises:
        ValueError: If a size is not an integer of at least 1, there is no machine, or
            `visible` is not one of those named.

    Example:

    >>> model = deep_belief_network(6, hidden_units=(5, 4), num_classes=3)
    >>> tuple(model(keras.ops.ones((2, 6))).shape)
    (2, 3)

    Reference:
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets",
        figure 1 and section 6.
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural
        networks", supporting text, for the classifier.
    """
    integers(visible_units=visible_units)
    several(hidden_units=hidden_units)
    if not hidden_units:
        raise ValueError("hidden_units is empty; name the size of at least one machine.")
    integers(0, num_classes=num_classes)
    inputs = x = keras.Input((visible_units,), name="visible")
    for index, units in enumerate(hidden_units, 1):
        kind = visible if index == 1 else "bernoulli"
        own = None if seed is None else seed + index
        x = RestrictedBoltzmannMachine(units, kind, seed=own, name=f"rbm_{index}")(x)
    if num_classes:
        x = keras.layers.Dense(num_classes, activation=output_activation, name="scores")(x)
    return keras.Model(inputs, x, name=name)
