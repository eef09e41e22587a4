import keras
import numpy as np
import pytest

from dlrecipes import losses
from dlrecipes.losses.adversarial import GAMES, adversarial_losses

RNG = np.random.default_rng(0)
# Patch outputs, with more real examples than generated ones.
REAL = RNG.normal(size=(3, 2, 2, 1)).astype("float32")
FAKE = RNG.normal(size=(2, 2, 2, 1)).astype("float32")
LOG_2 = np.log(2)

each_game = pytest.mark.parametrize("game", GAMES)


def probability(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))


# The formulas of the papers, on probabilities where the papers use them.
DISCRIMINATORS = {
    "minimax": lambda r, f: -np.log(probability(r)).mean() - np.log(1 - probability(f)).mean(),
    "non_saturating": lambda r, f: (
        -np.log(probability(r)).mean() - np.log(1 - probability(f)).mean()
    ),
    "least_squares": lambda r, f: 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(),
    "hinge": lambda r, f: -np.minimum(0, r - 1).mean() - np.minimum(0, -f - 1).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
}
GENERATORS = {
    "minimax": lambda f: np.log(1 - probability(f)).mean(),
    "non_saturating": lambda f: -np.log(probability(f)).mean(),
    "least_squares": lambda f: 0.5 * ((f - 1) ** 2).mean(),
    "hinge": lambda f: -f.mean(),
    "wasserstein": lambda f: -f.mean(),
}
# For logits of 0: log 1/2 for each expectation, and squares and hinges at distance 1.
AT_ZERO = {
    "minimax": (2 * LOG_2, -LOG_2),
    "non_saturating": (2 * LOG_2, LOG_2),
    "least_squares": (0.5, 0.5),
    "hinge": (2, 0),
    "wasserstein": (0, 0),
}


@each_game
def test_losses_equal_the_formulas_of_the_papers(game):
    discriminator_loss, generator_loss = adversarial_losses(game)
    expected = DISCRIMINATORS[game](REAL, FAKE), GENERATORS[game](FAKE)
    actual = float(discriminator_loss(REAL, FAKE)), float(generator_loss(FAKE))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@each_game
def test_losses_at_zero_logits_equal_the_values_by_hand(game):
    discriminator_loss, generator_loss = adversarial_losses(game)
    zeros = np.zeros((4, 1), "float32")
    actual = float(discriminator_loss(zeros, zeros)), float(generator_loss(zeros))
    np.testing.assert_allclose(actual, AT_ZERO[game], rtol=1e-6)


@each_game
def test_losses_are_scalars_for_logits_of_any_shape(game):
    discriminator_loss, generator_loss = adversarial_losses(game)
    for shape in ((5,), (5, 1), (2, 3, 4, 1)):
        logits = np.ones(shape, "float32")
        assert tuple(discriminator_loss(logits, logits).shape) == ()
        assert tuple(generator_loss(logits).shape) == ()


@each_game
def test_pairs_are_exported_under_the_name_of_their_game(game):
    pair = getattr(losses, f"{game}_discriminator_loss"), getattr(losses, f"{game}_generator_loss")
    assert adversarial_losses(game) == pair


def test_an_unknown_game_raises_with_the_known_names():
    with pytest.raises(ValueError, match=r"'wgan' is not one of minimax, .*wasserstein"):
        adversarial_losses("wgan")


@pytest.mark.parametrize("game", ["minimax", "non_saturating"])
def test_extreme_logits_do_not_overflow(game):
    discriminator_loss, generator_loss = adversarial_losses(game)
    high, low = np.array([1e4], "float32"), np.array([-1e4], "float32")
    assert float(discriminator_loss(high, low)) == 0
    assert float(discriminator_loss(low, high)) == 2e4
    signs = {"minimax": (-1e4, 0), "non_saturating": (0, 1e4)}[game]
    assert (float(generator_loss(high)), float(generator_loss(low))) == signs


@pytest.mark.parametrize("game", ["minimax", "non_saturating"])
def test_smoothing_changes_only_the_target_of_real_examples(game):
    discriminator_loss, _ = adversarial_losses(game)
    p, q = probability(REAL), probability(FAKE)
    expected = (-0.9 * np.log(p) - 0.1 * np.log(1 - p)).mean() - np.log(1 - q).mean()
    actual = float(discriminator_loss(REAL, FAKE, label_smoothing=0.1))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_smoothed_loss_is_minimal_at_the_smoothed_probability():
    sure_of_fakes = np.array([-50.0])
    logits = np.linspace(-4, 4, 801)
    actual = [
        float(losses.non_saturating_discriminator_loss([logit], sure_of_fakes, 0.1))
        for logit in logits[::4]
    ]
    best = logits[::4][int(np.argmin(actual))]
    np.testing.assert_allclose(probability(best), 0.9, atol=0.005)


def test_least_squares_targets_are_configurable():
    actual = float(losses.least_squares_discriminator_loss([3.0], [1.0], 1.0, -1.0))
    assert actual == 0.5 * 2**2 + 0.5 * 2**2
    assert float(losses.least_squares_generator_loss([3.0], target=0.0)) == 4.5


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.1])
def test_invalid_smoothing_raises(label_smoothing):
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        losses.non_saturating_discriminator_loss([0.0], [0.0], label_smoothing)


@each_game
def test_16_bit_logits_are_averaged_in_float32(game):
    logits = keras.ops.cast(np.full((4096,), 0.75, "float32"), "bfloat16")
    discriminator_loss, generator_loss = adversarial_losses(game)
    exact = np.full((1,), 0.75)
    actual = float(discriminator_loss(logits, logits)), float(generator_loss(logits))
    expected = DISCRIMINATORS[game](exact, exact), GENERATORS[game](exact)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
