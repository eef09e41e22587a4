"""Losses of a discriminator and a generator that are trained against each other, in pairs by name.

Every loss takes the discriminator's outputs before any squashing, one number per example or per
patch, and averages over all of them. `non_saturating_discriminator_loss` shows a training step;
`adversarial_losses` finds a pair by name.
"""

from collections.abc import Callable

from keras import ops

from dlrecipes.layers.pairwise_distances import at_least_float32


def minimax_discriminator_loss(real_logits, fake_logits, label_smoothing: float = 0.0):
    """Computes the cross-entropy of classifying examples as real or generated.

        mean[-(1 - label_smoothing) log D(x) - label_smoothing log(1 - D(x))]
            + mean[-log(1 - D(G(z)))],    D = sigmoid(logits)

    Smoothing is one-sided: only the target of real examples moves below 1, which prevents
    overconfidence of the discriminator. It is the same function as
    `non_saturating_discriminator_loss`: the two games differ in the generator's loss.

    Call it in a training step. Do not pass it to `compile`: its arguments are logits, not targets
    and predictions.

    Args:
        real_logits: Logits of real examples, of any shape.
        fake_logits: Logits of generated examples, of any shape.
        label_smoothing: Amount by which the real examples' target of 1 is lowered, in [0, 1].
            Defaults to 0.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `label_smoothing` is not in [0, 1].

    Example:

    >>> from dlrecipes.losses import minimax_discriminator_loss
    >>> round(float(minimax_discriminator_loss([0.0, 0.0], [0.0])), 4)  # twice log 2
    1.3863

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", equation 1. https://arxiv.org/abs/1406.2661
        Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen, 2016, "Improved techniques for
        training GANs", section 3.4, for one-sided label smoothing. https://arxiv.org/abs/1606.03498
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], not {label_smoothing!r}.")
    real, fake = at_least_float32(real_logits), at_least_float32(fake_logits)
    # -log sigmoid(x) is softplus(-x), which is softplus(x) - x; neither overflows.
    return ops.mean(ops.softplus(-real) + label_smoothing * real) + ops.mean(ops.softplus(fake))


def minimax_generator_loss(fake_logits):
    """Computes the mean of log(1 - D(G(z))), the negative of the discriminator's term.

    It saturates: where the discriminator confidently rejects a generated example, the gradient
    vanishes. Prefer `non_saturating_generator_loss` for training.

    Call it in a training step. Do not pass it to `compile`: its argument is logits, not targets and
    predictions.

    Args:
        fake_logits: Logits of generated examples, of any shape.

    Returns:
        The loss, a scalar below 0, in float32 at least.

    Example:

    >>> from dlrecipes.losses import minimax_generator_loss
    >>> round(float(minimax_generator_loss([0.0, 0.0])), 4)  # minus log 2
    -0.6931

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", equation 1 and algorithm 1. https://arxiv.org/abs/1406.2661
    """
    return -ops.mean(ops.softplus(at_least_float32(fake_logits)))


def non_saturating_discriminator_loss(real_logits, fake_logits, label_smoothing: float = 0.0):
    """Computes the cross-entropy of classifying examples as real or generated.

    It is `minimax_discriminator_loss`, under the name of the pair that GANs are usually trained
    with.

    Call it in a training step. Do not pass it to `compile`: its arguments are logits, not targets
    and predictions.

    Args:
        real_logits: Logits of real examples, of any shape.
        fake_logits: Logits of generated examples, of any shape.
        label_smoothing: Amount by which the real examples' target of 1 is lowered, in [0, 1].
            Defaults to 0.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `label_smoothing` is not in [0, 1].

    Example:

    >>> import keras
    >>> from dlrecipes.losses import non_saturating_discriminator_loss
    >>> from dlrecipes.losses import non_saturating_generator_loss
    >>> loss = non_saturating_discriminator_loss([30.0], [-30.0], label_smoothing=0.1)
    >>> round(float(loss), 4)  # a tenth of the logit 30
    3.0

    A training step computes both losses from the discriminator's outputs, and each network then
    follows the gradient of its own loss. `dlrecipes.losses.adversarial.adversarial_losses` finds
    the pair of another game.

    >>> generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> discriminator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> def losses(real, noise):
    ...     fake = discriminator(generator(noise))
    ...     return (
    ...         non_saturating_discriminator_loss(discriminator(real), fake),
    ...         non_saturating_generator_loss(fake),
    ...     )
    >>> real, noise = keras.ops.ones((4, 3)), keras.ops.ones((4, 2))
    >>> discriminator_loss, generator_loss = losses(real, noise)
    >>> tuple(discriminator_loss.shape), tuple(generator_loss.shape)
    ((), ())

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", section 3. https://arxiv.org/abs/1406.2661
    """
    return minimax_discriminator_loss(real_logits, fake_logits, label_smoothing)


def non_saturating_generator_loss(fake_logits):
    """Computes the mean of -log D(G(z)).

    Its gradient is largest where the discriminator confidently rejects a generated example.

    Call it in a training step. Do not pass it to `compile`: its argument is logits, not targets and
    predictions.

    Args:
        fake_logits: Logits of generated examples, of any shape.

    Returns:
        The loss, a scalar above 0, in float32 at least.

    Example:

    >>> from dlrecipes.losses import non_saturating_generator_loss
    >>> round(float(non_saturating_generator_loss([0.0, 0.0])), 4)  # log 2
    0.6931

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", section 3, where the generator maximises log D(G(z)).
        https://arxiv.org/abs/1406.2661
    """
    return ops.mean(ops.softplus(-at_least_float32(fake_logits)))


def least_squares_discriminator_loss(
    real_logits, fake_logits, real_target: float = 1.0, fake_target: float = 0.0
):
    """Computes half the mean squared distances of real and generated outputs from their targets.

    Call it in a training step. Do not pass it to `compile`: its arguments are logits, not targets
    and predictions.

    Args:
        real_logits: Outputs for real examples, of any shape.
        fake_logits: Outputs for generated examples, of any shape.
        real_target: Target of real examples, the paper's b. Defaults to 1.
        fake_target: Target of generated examples, the paper's a. Defaults to 0.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import least_squares_discriminator_loss
    >>> float(least_squares_discriminator_loss([1.0, 3.0], [1.0]))  # (0 + 4) / 4 + 1 / 2
    1.5

    Reference:
        Mao, Li, Xie, Lau, Wang and Smolley, 2017, "Least squares generative adversarial networks",
        equation 2; equation 9 has the default targets. https://arxiv.org/abs/1611.04076
    """
    real = at_least_float32(real_logits) - real_target
    fake = at_least_float32(fake_logits) - fake_target
    return (ops.mean(ops.square(real)) + ops.mean(ops.square(fake))) / 2


def least_squares_generator_loss(fake_logits, target: float = 1.0):
    """Computes half the mean squared distance of the outputs from the target of real examples.

    Call it in a training step. Do not pass it to `compile`: its argument is logits, not targets and
    predictions.

    Args:
        fake_logits: Outputs for generated examples, of any shape.
        target: Target of the generator, the paper's c. Defaults to 1.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import least_squares_generator_loss
    >>> float(least_squares_generator_loss([0.0, 3.0]))  # (1 + 4) / 4
    1.25

    Reference:
        Mao, Li, Xie, Lau, Wang and Smolley, 2017, "Least squares generative adversarial networks",
        equation 2; equation 9 has the default target. https://arxiv.org/abs/1611.04076
    """
    return ops.mean(ops.square(at_least_float32(fake_logits) - target)) / 2


def hinge_discriminator_loss(real_logits, fake_logits):
    """Computes by how much the outputs fall short of 1 (real) and exceed -1 (generated).

    Call it in a training step. Do not pass it to `compile`: its arguments are logits, not targets
    and predictions.

    Args:
        real_logits: Outputs for real examples, of any shape.
        fake_logits: Outputs for generated examples, of any shape.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import hinge_discriminator_loss
    >>> float(hinge_discriminator_loss([2.0, 0.5], [-3.0]))  # (0 + 0.5) / 2 + 0
    0.25

    Reference:
        Lim and Ye, 2017, "Geometric GAN", section 3. https://arxiv.org/abs/1705.02894
        Miyato, Kataoka, Koyama and Yoshida, 2018, "Spectral normalization for generative
        adversarial networks", equation 16. https://arxiv.org/abs/1802.05957
    """
    real, fake = at_least_float32(real_logits), at_least_float32(fake_logits)
    return ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake))


def hinge_generator_loss(fake_logits):
    """Computes the negative mean of the outputs for generated examples.

    Call it in a training step. Do not pass it to `compile`: its argument is logits, not targets and
    predictions.

    Args:
        fake_logits: Outputs for generated examples, of any shape.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import hinge_generator_loss
    >>> float(hinge_generator_loss([2.0, -1.0]))
    -0.5

    Reference:
        Lim and Ye, 2017, "Geometric GAN", section 3. https://arxiv.org/abs/1705.02894
        Miyato, Kataoka, Koyama and Yoshida, 2018, "Spectral normalization for generative
        adversarial networks", equation 17. https://arxiv.org/abs/1802.05957
    """
    return -ops.mean(at_least_float32(fake_logits))


def wasserstein_discriminator_loss(real_logits, fake_logits):
    """Computes by how much the outputs are higher for generated examples than for real ones.

    It estimates the negative earth mover's distance as long as the discriminator (the critic) is
    1-Lipschitz. Enforcing that, by clipping weights or by `gradient_penalty`, is not part of this
    function.

    Call it in a training step. Do not pass it to `compile`: its arguments are logits, not targets
    and predictions.

    Args:
        real_logits: Outputs for real examples, of any shape.
        fake_logits: Outputs for generated examples, of any shape.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import wasserstein_discriminator_loss
    >>> float(wasserstein_discriminator_loss([3.0, 1.0], [0.5]))
    -1.5

    Reference:
        Arjovsky, Chintala and Bottou, 2017, "Wasserstein GAN", equation 3 and algorithm 1.
        https://arxiv.org/abs/1701.07875
    """
    return ops.mean(at_least_float32(fake_logits)) - ops.mean(at_least_float32(real_logits))


def wasserstein_generator_loss(fake_logits):
    """Computes the negative mean of the outputs for generated examples.

    Call it in a training step. Do not pass it to `compile`: its argument is logits, not targets and
    predictions.

    Args:
        fake_logits: Outputs for generated examples, of any shape.

    Returns:
        The loss, a scalar, in float32 at least.

    Example:

    >>> from dlrecipes.losses import wasserstein_generator_loss
    >>> float(wasserstein_generator_loss([2.0, -1.0]))
    -0.5

    Reference:
        Arjovsky, Chintala and Bottou, 2017, "Wasserstein GAN", algorithm 1.
        https://arxiv.org/abs/1701.07875
    """
    return -ops.mean(at_least_float32(fake_logits))


def adversarial_losses(name: str) -> tuple[Callable, Callable]:
    """Returns the two losses of a game.

    Args:
        name: `"minimax"`, `"non_saturating"`, `"least_squares"`, `"hinge"` or `"wasserstein"`.

    Returns:
        The discriminator's loss, a function of `real_logits` and `fake_logits`, and the generator's
        loss, a function of `fake_logits`.

    Raises:
        ValueError: If `name` is not one of the games above.

    Example:

    >>> from dlrecipes.losses.adversarial import adversarial_losses
    >>> discriminator_loss, generator_loss = adversarial_losses("hinge")
    >>> float(discriminator_loss([2.0], [2.0])), float(generator_loss([2.0]))
    (3.0, -2.0)
    """
    if name not in GAMES:
        raise ValueError(f"loss {name!r} is not one of {', '.join(GAMES)}.")
    return GAMES[name]


GAMES = {
    "minimax": (minimax_discriminator_loss, minimax_generator_loss),
    "non_saturating": (non_saturating_discriminator_loss, non_saturating_generator_loss),
    "least_squares": (least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": (hinge_discriminator_loss, hinge_generator_loss),
    "wasserstein": (wasserstein_discriminator_loss, wasserstein_generator_loss),
}
