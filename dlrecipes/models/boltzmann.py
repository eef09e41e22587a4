"""Restricted Boltzmann machines, single and stacked."""

from collections.abc import Sequence

import keras

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models._arguments import check_integer_lists, check_integers, check_rates


def restricted_boltzmann_machine(
    visible_units: int = 784,
    hidden_units: int = 500,
    visible: str = "bernoulli",
    hidden: str = "bernoulli",
    seed: int | None = None,
    name: str = "restricted_boltzmann_machine",
) -> keras.Model:
    """Builds a restricted Boltzmann machine, which maps visible units to hidden units.

    The layer `rbm` holds the weights and provides samples, energies and the reconstruction of
    visible units. `fit` does not train the model; a contrastive divergence loop does, as in the
    example. The default sizes are those of the first machine of `deep_belief_network`.

    Args:
        visible_units: Number of visible units, at least 1. Defaults to 784.
        hidden_units: Number of hidden units, at least 1. Defaults to 500.
        visible: Kind of the visible units: `"bernoulli"` for values from 0 to 1, `"gaussian"`
            for standardised values. Defaults to `"bernoulli"`.
        hidden: Kind of the hidden units: `"bernoulli"`, or `"gaussian"` if the visible units are
            not Gaussian. Defaults to `"bernoulli"`.
        seed: Sampling seed. Defaults to `None`.
        name: Model name. Defaults to `"restricted_boltzmann_machine"`.

    Returns:
        A functional `keras.Model`. Input: `visible`, of shape `(batch, visible_units)`. Output:
        probabilities (or means, if Gaussian) of the hidden units, of shape
        `(batch, hidden_units)`.

    Raises:
        ValueError: If a size is not an integer of at least 1, or a kind of unit is not one of
            the listed ones.

    Example:

    >>> import keras
    >>> from dlrecipes.models import restricted_boltzmann_machine
    >>> model = restricted_boltzmann_machine(6, 4)
    >>> model.count_params() == 6 * 4 + 6 + 4
    True
    >>> tuple(model.get_layer("rbm").gibbs_step(keras.ops.ones((2, 6))).shape)
    (2, 6)

    One step of contrastive divergence (CD-1) with a learning rate of 0.1:

    >>> rbm, ops, data = model.get_layer("rbm"), keras.ops, keras.ops.ones((2, 6))
    >>> fantasy = rbm.gibbs_step(data)
    >>> up, down = rbm.hidden_probabilities(data), rbm.hidden_probabilities(fantasy)
    >>> change = ops.transpose(data) @ up - ops.transpose(fantasy) @ down
    >>> _ = rbm.kernel.assign(rbm.kernel + 0.1 * change / 2)
    >>> _ = rbm.visible_bias.assign(rbm.visible_bias + 0.1 * ops.mean(data - fantasy, axis=0))
    >>> _ = rbm.hidden_bias.assign(rbm.hidden_bias + 0.1 * ops.mean(up - down, axis=0))

    Reference:
        Hinton, 2002, "Training products of experts by minimizing contrastive divergence".
        https://doi.org/10.1162/089976602760128018
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets", for
        the sizes. https://doi.org/10.1162/neco.2006.18.7.1527
    """
    check_integers(visible_units=visible_units)
    inputs = keras.Input((visible_units,), name="visible")
    layer = RestrictedBoltzmannMachine(hidden_units, visible, hidden, seed=seed, name="rbm")
    return keras.Model(inputs, layer(inputs), name=name)


def deep_belief_network(
    visible_units: int = 784,
    hidden_units: Sequence[int] = (500, 500, 2000),
    num_classes: int = 10,
    visible: str = "bernoulli",
    output_activation=None,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    seed: int | None = None,
    name: str = "deep_belief_network",
) -> keras.Model:
    """Builds a stack of restricted Boltzmann machines with a classifier on top.

    Training has two stages. First each machine, `rbm_1` and so on, is trained by contrastive
    divergence on the probabilities that the machine below outputs, as
    `restricted_boltzmann_machine` shows. Then the whole model is trained as a feed-forward
    network. The visible biases are used in the first stage only and have no gradient in the
    second.

    In the paper the labels are visible units of the top machine, whose hidden units are
    sampled. Here a separate layer, `scores`, reads those hidden units, as in the paper that
    fine-tunes the same stack by back-propagation. With the defaults there are 1,666,794
    parameters.

    Args:
        visible_units: Number of visible units, at least 1. Defaults to 784.
        hidden_units: Hidden units of each machine, each at least 1, from the bottom up. Defaults
            to (500, 500, 2000).
        num_classes: Number of classes; 0 leaves the classifier out. Defaults to 10.
        visible: Kind of the lowest machine's visible units: `"bernoulli"` for values from 0 to
            1, `"gaussian"` for standardised values. Defaults to `"bernoulli"`.
        output_activation: Activation of the classifier. Defaults to `None`, which gives logits.
        dropout: Dropout rate of each machine's output, at least 0 and less than 1. It has no effect
            in the first stage. Defaults to 0.
        input_dropout: Dropout rate of the input, likewise. Defaults to 0.
        seed: Sampling seed, to which each machine adds its number. Defaults to `None`.
        name: Model name. Defaults to `"deep_belief_network"`.

    Returns:
        A functional `keras.Model`. Input: `visible`, of shape `(batch, visible_units)`. Output:
        scores of shape `(batch, num_classes)`; without a classifier, the top machine's
        probabilities, of shape `(batch, hidden_units[-1])`.

    Raises:
        ValueError: If a size is not an integer of at least 1, no machine is given, `visible` is not
            one of the listed kinds, or a dropout rate is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import deep_belief_network
    >>> model = deep_belief_network(6, hidden_units=(5, 4), num_classes=3)
    >>> tuple(model(keras.ops.ones((2, 6))).shape)
    (2, 3)

    Reference:
        Hinton, Osindero and Teh, 2006, "A fast learning algorithm for deep belief nets",
        figure 1 and section 6. https://doi.org/10.1162/neco.2006.18.7.1527
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural
        networks", supporting text, for the classifier. https://doi.org/10.1126/science.1127647
        Hinton, Srivastava, Krizhevsky, Sutskever and Salakhutdinov, 2012, "Improving neural
        networks by preventing co-adaptation of feature detectors", for dropout in the second stage
        of such a stack. https://arxiv.org/abs/1207.0580
    """
    check_integers(visible_units=visible_units)
    check_integer_lists(hidden_units=hidden_units)
    if not hidden_units:
        raise ValueError("hidden_units must have the size of at least one machine, not ().")
    check_integers(0, num_classes=num_classes)
    check_rates(dropout=dropout, input_dropout=input_dropout)
    inputs = x = keras.Input((visible_units,), name="visible")
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, seed=seed, name="input_dropout")(x)
    for index, units in enumerate(hidden_units, 1):
        kind = visible if index == 1 else "bernoulli"
        rbm_seed = None if seed is None else seed + index
        x = RestrictedBoltzmannMachine(units, kind, seed=rbm_seed, name=f"rbm_{index}")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, seed=rbm_seed, name=f"dropout_{index}")(x)
    if num_classes:
        x = keras.layers.Dense(num_classes, activation=output_activation, name="scores")(x)
    return keras.Model(inputs, x, name=name)
