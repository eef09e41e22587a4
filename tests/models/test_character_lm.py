import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.models import character_lm

V, E, U, C = 11, 4, 5, 2


def array(x):
    return ops.convert_to_numpy(x)


def lstm_parameters(features):
    return 4 * U * (features + U + 1)


def small(**kwargs):
    return character_lm(V, units=U, embedding_units=E, condition_units=C, **kwargs)


@pytest.mark.parametrize("tied", [True, False])
def test_parameter_count_matches_the_layers(tied):
    model = small(conditions={"tone": 3, "rhyme": 17}, tied=tied)
    output_units = E if tied else U
    # Embeddings; two LSTMs; the direct layer of the conditions; the projection or the output.
    expected = V * E + (3 + 17) * C + lstm_parameters(E + 2 * C) + lstm_parameters(U)
    expected += 2 * C * output_units + (U * E + E if tied else U * V + V)
    assert model.count_params() == expected


@pytest.mark.parametrize("tied", [True, False])
def test_untrained_model_has_the_loss_of_a_uniform_guess(tied):
    rng = np.random.default_rng(0)
    model = character_lm(6753, {"tone": 3}, units=64, embedding_units=32, tied=tied)
    ids = {name: rng.integers(0, 3, (4, 9)) for name in ("characters", "tone")}
    scores = array(model(ids))
    targets = rng.integers(0, 6753, (4, 9))
    # Cross-entropy: the log of the sum of exponentials minus the target's score.
    loss = (
        np.log(np.exp(scores).sum(-1)) - np.take_along_axis(scores, targets[..., None], -1)[..., 0]
    )
    assert loss.mean() == pytest.approx(np.log(6753), rel=0.02)


def test_tied_scores_are_products_with_the_embeddings():
    model = small(depth=1, cell="elman")
    embeddings, kernel, recurrent, bias, projection, shift = model.get_weights()
    h, expected = np.zeros(U), []
    for character in (3, 7, 1):
        h = np.tanh(embeddings[character] @ kernel + h @ recurrent + bias)
        expected.append((h @ projection + shift) @ embeddings.T)
    scores = array(model({"characters": np.array([[3, 7, 1]])}))[0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_outputs_of_the_layers_are_added():
    model = small(depth=2, tied=False, cell="elman")
    hidden = keras.Model(model.inputs, [model.get_layer(f"hidden_{k}").output for k in (1, 2)])
    x = {"characters": np.array([[3, 7, 1]])}
    first, second = map(array, hidden(x))
    kernel, bias = model.get_layer("scores").get_weights()
    np.testing.assert_allclose(array(model(x)), (first + second) @ kernel + bias, atol=1e-5)


def test_condition_affects_its_own_and_later_steps_only():
    model = small(conditions={"tone": 3})
    x = {"characters": np.array([[3, 7, 1, 2]]), "tone": np.array([[0, 1, 2, 0]])}
    other = {**x, "tone": np.array([[0, 1, 1, 0]])}
    change = np.abs(array(model(x)) - array(model(other))).max(axis=-1)[0]
    assert change[:2].max() == 0
    assert change[2:].min() > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cell": "jordan"}, "jordan"),
        ({"conditions": {"characters": 3}}, "characters"),
        ({"conditions": {"tone": 0}}, "tone"),
        ({"units": 0}, "units"),
        ({"embedding_units": 1.5}, "embedding_units"),
        ({"dropout": 1.0}, "dropout"),
        ({"depth": True}, "depth"),
    ],
)
def test_error_names_the_invalid_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        character_lm(V, **arguments)
