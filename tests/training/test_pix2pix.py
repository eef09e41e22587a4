"""Pix2pix's losses and updates equal those of the paper, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import patchgan, pix2pix_unet
from dlrecipes.training import Pix2Pix

# The generator computes g x, and the discriminator u x + v y for an input x and an image y.
G, U, V = 0.5, 0.3, -0.4
X = np.array([[1.0], [-2.0], [0.5]], "float32")
Y = np.array([[2.0], [1.0], [-1.0]], "float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def discriminator_model(layer, reads=("condition", "image")):
    inputs = {name: keras.Input((1,), name=name) for name in ("condition", "image")}
    read = [inputs[name] for name in reads]
    x = keras.layers.Concatenate()(read) if len(read) > 1 else read[0]
    return keras.Model(inputs, layer(x))


def linear(weights):
    """Returns a layer with a weight for each input, and no bias."""
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, len(weights)))
    layer.kernel.assign(np.reshape(weights, (-1, 1)))
    return layer


def one_weight(rate=0.1, discriminator_rate=0.2, compiling=None, reads=None, **options):
    generator = keras.Sequential([keras.Input((1,)), linear([G])])
    reads = reads or ("condition", "image")
    weights = [{"condition": U, "image": V}[name] for name in reads]
    model = Pix2Pix(generator, discriminator_model(linear(weights), reads), **options)
    rates = keras.optimizers.SGD(rate), keras.optimizers.SGD(discriminator_rate)
    model.compile(*rates, **{"jit_compile": False, **(compiling or {})})
    return model


def fit(model, x=X, y=Y, batch_size=3, **options):
    return model.fit(x, y, batch_size, verbose=0, shuffle=False, **options).history


@pytest.mark.parametrize("compiling", [{}, {"run_eagerly": True}, {"jit_compile": True}])
def test_a_step_equals_the_papers(compiling):
    model = one_weight(l1_weight=3.0, compiling=compiling)
    history = fit(model)
    fake = G * X
    real_logits, fake_logits = U * X + V * Y, U * X + V * fake
    loss = (softplus(-real_logits).mean() + softplus(fake_logits).mean()) / 2
    assert history["discriminator_loss"] == pytest.approx([loss])
    assert history["real_score"] == pytest.approx([sigmoid(real_logits).mean()])
    assert history["fake_score"] == pytest.approx([sigmoid(fake_logits).mean()])
    # The derivative of softplus(x) is sigmoid(x). The rate is 0.2, and the loss is halved.
    real, generated = -sigmoid(-real_logits), sigmoid(fake_logits)
    slopes = [(real * X + generated * X).mean(), (real * Y + generated * fake).mean()]
    slopes = np.array(slopes) / 2
    u, v = np.array([U, V]) - 0.2 * slopes
    weights = model.discriminator.get_weights()[0].ravel()
    np.testing.assert_allclose(weights, [u, v], rtol=1e-5)
    assert history["discriminator_gradient_norm"] == pytest.approx([np.hypot(*slopes)])
    # The generator's update uses the updated discriminator and the same generated image.
    logits = u * X + v * fake
    difference = np.abs(fake - Y).mean()
    assert history["l1"] == pytest.approx([difference])
    assert history["generator_loss"] == pytest.approx([softplus(-logits).mean() + 3 * difference])
    slope = (-sigmoid(-logits) * v * X + 3 * np.sign(fake - Y) * X).mean()
    assert history["gradient_norm"] == pytest.approx([abs(slope)])
    assert model.generator.get_weights()[0].item() == pytest.approx(G - 0.1 * slope)


def test_least_squares_are_halved_only_for_the_discriminator():
    # With rates of 0, both networks see the initial discriminator.
    history = fit(one_weight(0.0, 0.0, objective="least_squares", l1_weight=0))
    real, fake = U * X + V * Y, U * X + V * G * X
    expected = (((real - 1) ** 2).mean() + (fake**2).mean()) / 2
    assert history["discriminator_loss"] == pytest.approx([expected])
    assert history["generator_loss"] == pytest.approx([((fake - 1) ** 2).mean()])
    assert history["real_score"] == pytest.approx([real.mean()])


def test_validation_logs_losses_and_changes_nothing():
    model = one_weight(l1_weight=3.0)
    before = [weight.copy() for weight in model.get_weights()]
    logs = model.evaluate(X, Y, batch_size=2, verbose=0, return_dict=True)
    logits = U * X + V * G * X
    difference = np.abs(G * X - Y).mean()
    # Means over all three examples, in batches of two and one.
    assert logs["l1"] == pytest.approx(difference)
    assert logs["generator_loss"] == pytest.approx(softplus(-logits).mean() + 3 * difference)
    expected = (softplus(-(U * X + V * Y)).mean() + softplus(logits).mean()) / 2
    assert logs["discriminator_loss"] == pytest.approx(expected)
    assert "gradient_norm" not in logs
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_discriminator_sees_pairs_of_input_and_image():
    # A discriminator that reads only the input cannot distinguish real from generated images.
    input_alone = fit(one_weight(reads=("condition",)))
    assert input_alone["real_score"] == input_alone["fake_score"]
    assert input_alone["real_score"] == pytest.approx([sigmoid(U * X).mean()])
    image_alone = fit(one_weight(reads=("image",)))
    assert image_alone["real_score"] == pytest.approx([sigmoid(V * Y).mean()])
    assert image_alone["fake_score"] == pytest.approx([sigmoid(V * G * X).mean()])


def normalized(rate, discriminator_rate):
    """Returns a model whose networks begin with batch normalization, and those layers."""
    keras.utils.set_random_seed(2)
    norms = [keras.layers.BatchNormalization(momentum=0.9) for _ in "gd"]
    generator = keras.Sequential([keras.Input((1,)), norms[0], linear([G])])
    discriminator = discriminator_model(keras.Sequential([norms[1], linear([U, V])]))
    model = Pix2Pix(generator, discriminator)
    model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(discriminator_rate))
    return model, norms


def weight_bytes(network):
    return [weight.tobytes() for weight in network.get_weights()]


def trainable_bytes(network):
    return [np.array(v.numpy()).tobytes() for v in network.trainable_variables]


def test_an_update_does_not_change_the_other_network():
    model, _ = normalized(0.0, 0.1)
    generator = trainable_bytes(model.generator)
    discriminator = trainable_bytes(model.discriminator)
    fit(model)
    assert trainable_bytes(model.generator) == generator
    assert not set(trainable_bytes(model.discriminator)) & set(discriminator)
    other, _ = normalized(0.1, 0.0)
    fit(other)
    assert trainable_bytes(other.discriminator) == discriminator
    assert trainable_bytes(other.generator) != generator
    # The discriminator and its statistics do not depend on the generator's update.
    both, _ = normalized(0.1, 0.1)
    fit(both)
    assert weight_bytes(both.discriminator) == weight_bytes(model.discriminator)


def test_moving_statistics_come_from_a_networks_own_update():
    model, (generator_norm, discriminator_norm) = normalized(0.1, 0.1)
    epsilon = generator_norm.epsilon
    fit(model)
    np.testing.assert_allclose(generator_norm.moving_mean.numpy(), 0.1 * X.mean(axis=0), rtol=1e-5)
    fake = G * (X - X.mean()) / np.sqrt(X.var() + epsilon)
    generated, real = (np.hstack([X, image]).mean(axis=0) for image in (fake, Y))
    expected = 0.9 * (0.1 * generated) + 0.1 * real
    np.testing.assert_allclose(discriminator_norm.moving_mean.numpy(), expected, atol=1e-6)


def test_dropout_is_on_in_training_and_off_at_inference():
    x = keras.Input((1,))
    generator = keras.Model(x, keras.layers.Dropout(0.5, seed=1)(linear([1.0])(x)))
    model = Pix2Pix(generator, discriminator_model(linear([U, V])))
    ones = np.ones((64, 1), "float32")
    np.testing.assert_array_equal(model(ones), ones)
    assert set(np.unique(model(ones, training=True))) == {0.0, 2.0}
    model.compile(keras.optimizers.SGD(0.0))
    assert fit(model, ones, ones, 64)["l1"] == pytest.approx([1.0])  # |0 - 1| and |2 - 1|
    assert model.evaluate(ones, ones, verbose=0, return_dict=True)["l1"] == pytest.approx(0.0)


def test_weight_regularizers_are_added_to_the_losses():
    model = one_weight(0.0, 0.0, l1_weight=0)
    plain = fit(model)
    for network in (model.generator, model.discriminator):
        network.layers[-1].kernel_regularizer = keras.regularizers.L2(10.0)
        network.layers[-1].kernel.regularizer = keras.regularizers.L2(10.0)
    model.make_train_function(force=True)
    regularized = fit(model)
    added = {name: regularized[name][0] - plain[name][0] for name in regularized}
    assert added["generator_loss"] == pytest.approx(10 * G**2, rel=1e-4)
    assert added["discriminator_loss"] == pytest.approx(10 * (U**2 + V**2), rel=1e-4)


def small(**options):
    keras.utils.set_random_seed(0)
    model = Pix2Pix(
        pix2pix_unet(size=8, filters=4, norm="none", dropout=0.0),
        patchgan(layers=1, filters=4, norm="none"),
        **options,
    )
    model.compile(keras.optimizers.Adam(0.01, beta_1=0.5), jit_compile=False)
    return model


def test_inversion_of_colors_is_learned():
    rng = np.random.default_rng(0)
    colors = rng.uniform(-0.9, 0.9, (32, 1, 1, 3)) * np.ones((1, 8, 8, 1))
    history = fit(small(), colors, -colors, 8, epochs=40)
    # A gray image is off by 0.45 on average.
    assert history["l1"][0] > 0.4
    assert history["l1"][-1] < 0.15


def test_batches_of_any_size_and_of_float64_train():
    model = small()
    images = np.linspace(-1, 1, 5 * 192).reshape(5, 8, 8, 3)
    data = tf.data.Dataset.from_tensor_slices((images, -images)).batch(4)
    history = model.fit(data, epochs=2, verbose=0).history
    assert np.isfinite(history["generator_loss"]).all()


@pytest.mark.parametrize(
    "data, message",
    [
        ((X,), r"fit must be given \(input, target\), two batches of images, and no sample"),
        ((X, Y, np.ones(3)), "and no sample weights"),
        ((X, (Y * 100).astype("uint8")), r"two batches of images in \[-1, 1\], not uint8"),
        ((X, np.hstack([Y, Y])), r"outputs images of shape \(3, 1\), .*with \(3, 2\)"),
    ],
)
def test_data_other_than_pairs_of_images_are_rejected(data, message):
    with pytest.raises(ValueError, match=message):
        model = one_weight(compiling={"run_eagerly": True}, reads=("condition",))
        # Passed directly to the step, because `fit` would cast arrays first.
        model.build_optimizers()
        model.train_step(tuple(map(tf.constant, data)))


def test_networks_that_do_not_match_are_rejected():
    model = one_weight()
    generator, discriminator = model.generator, model.discriminator
    with pytest.raises(ValueError, match="l1_weight must be at least 0, not -1"):
        Pix2Pix(generator, discriminator, l1_weight=-1)
    with pytest.raises(ValueError, match="'none' is not one of minimax, non_saturating"):
        Pix2Pix(generator, discriminator, objective="none")
    with pytest.raises(ValueError, match=r"must have inputs condition and image, not \['image'\]"):
        Pix2Pix(generator, patchgan(layers=1, filters=2, condition_channels=0))
    with pytest.raises(ValueError, match="generator has no weights yet: call it on a batch"):
        Pix2Pix(keras.Sequential([keras.layers.Dense(1)]), discriminator)
    with pytest.raises(ValueError, match="discriminator and generator must be two networks"):
        Pix2Pix(generator, generator)
