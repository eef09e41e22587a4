"""CycleGAN's losses and updates equal those of the paper, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import cyclegan_generator, patchgan
from dlrecipes.training import CycleGAN
from dlrecipes.training._engine import stateless_random

# The generators compute p a and q b, and the discriminators u a and v b.
P, Q, U, V = 0.5, -1.5, 0.3, 0.7
A = np.array([[1.0], [-2.0], [0.5]], "float32")
B = np.array([[2.0], [1.0], [-4.0]], "float32")


def linear(weight, *before):
    layer = keras.layers.Dense(1, use_bias=False)
    network = keras.Sequential([keras.Input((1,)), *before, layer])
    layer.kernel.assign([[weight]])
    return network


def one_weight(rate=0.1, discriminator_rate=0.2, compiling=None, before=tuple, **options):
    networks = [linear(weight, *before()) for weight in (P, Q, U, V)]
    model = CycleGAN(*networks, **{"pool_size": 0, **options})
    rates = keras.optimizers.SGD(rate), keras.optimizers.SGD(discriminator_rate)
    model.compile(*rates, **{"jit_compile": False, **(compiling or {})})
    return model


def networks(model):
    return [getattr(model, name) for name in CycleGAN.serializable_arguments]


def fit(model, a=A, b=B, batch_size=3, **options):
    return model.fit(a, b, batch_size, verbose=0, shuffle=False, **options).history


def terms(cycle_weight, identity_weight):
    """Returns the generators' loss, cycle and identity losses, and the derivatives for P and Q."""
    score_b, score_a = V * P * A, U * Q * B
    cycle = np.abs(Q * P * A - A).mean() + np.abs(P * Q * B - B).mean()
    identity = np.abs(P * B - B).mean() + np.abs(Q * A - A).mean()
    loss = ((score_b - 1) ** 2).mean() + ((score_a - 1) ** 2).mean()
    loss += cycle_weight * (cycle + identity_weight * identity)
    around_a, around_b = np.sign(Q * P * A - A) * A, np.sign(P * Q * B - B) * B
    around = around_a.mean() + around_b.mean()
    kept_p, kept_q = (np.sign(P * B - B) * B).mean(), (np.sign(Q * A - A) * A).mean()
    slope_p = (2 * (score_b - 1) * V * A).mean()
    slope_q = (2 * (score_a - 1) * U * B).mean()
    slope_p += cycle_weight * (Q * around + identity_weight * kept_p)
    slope_q += cycle_weight * (P * around + identity_weight * kept_q)
    return loss, cycle, identity, slope_p, slope_q


@pytest.mark.parametrize("compiling", [{}, {"run_eagerly": True}, {"jit_compile": True}])
@pytest.mark.parametrize("cycle_weight, identity_weight", [(10.0, 0.5), (2.0, 3.0)])
def test_a_step_equals_the_papers(cycle_weight, identity_weight, compiling):
    weights = {"cycle_weight": cycle_weight, "identity_weight": identity_weight}
    model = one_weight(0.01, 0.2, compiling, **weights)
    history = fit(model)
    loss, cycle, identity, slope_p, slope_q = terms(**weights)
    assert history["generator_loss"] == pytest.approx([loss])
    assert history["cycle"] == pytest.approx([cycle])
    assert history["identity"] == pytest.approx([identity])
    assert history["gradient_norm"] == pytest.approx([np.hypot(slope_p, slope_q)])
    p, q, u, v = (network.get_weights()[0].item() for network in networks(model))
    assert (p, q) == pytest.approx((P - 0.01 * slope_p, Q - 0.01 * slope_q))
    # The discriminators see images from before the generators' update, and halve the squares.
    fake_a, fake_b = Q * B, P * A
    squares = [(U * A - 1) ** 2, (U * fake_a) ** 2, (V * B - 1) ** 2, (V * fake_b) ** 2]
    expected = sum(square.mean() for square in squares) / 2
    assert history["discriminator_loss"] == pytest.approx([expected])
    slope_u = ((U * A - 1) * A).mean() + (U * fake_a**2).mean()
    slope_v = ((V * B - 1) * B).mean() + (V * fake_b**2).mean()
    assert (u, v) == pytest.approx((U - 0.2 * slope_u, V - 0.2 * slope_v))
    assert history["discriminator_gradient_norm"] == pytest.approx([np.hypot(slope_u, slope_v)])
    assert history["real_score"] == pytest.approx([(U * A.mean() + V * B.mean()) / 2], rel=1e-5)
    scores = (U * fake_a.mean() + V * fake_b.mean()) / 2
    assert history["fake_score"] == pytest.approx([scores], rel=1e-5)


def test_at_the_end_all_networks_get_the_averages_of_their_own_weights():
    model = one_weight()
    model.compile(
        *(keras.optimizers.SGD(rate, use_ema=True, ema_momentum=0.5) for rate in (0.01, 0.02)),
        jit_compile=False,
    )
    steps = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(
            [float(network.get_weights()[0][0, 0]) for network in networks(model)]
        )
    )
    fit(model, batch_size=1, callbacks=[note])
    # The average begins with the weights after the first step.
    averages = np.array(steps[0])
    for weights in steps[1:]:
        averages = 0.5 * averages + 0.5 * np.array(weights)
    assert len(steps) == 3
    final = [float(network.get_weights()[0][0, 0]) for network in networks(model)]
    np.testing.assert_allclose(final, averages, rtol=1e-6)


def test_an_identity_weight_of_zero_removes_the_identity_loss():
    history = fit(one_weight(identity_weight=0))
    assert history["generator_loss"] == pytest.approx([terms(10.0, 0.0)[0]])
    assert history["identity"] == [0.0]


def test_the_loss_of_logistic_discriminators_is_halved():
    history = fit(one_weight(0.0, 0.0, objective="non_saturating", cycle_weight=0))
    outputs = {"real": (U * A, V * B), "fake": (U * Q * B, V * P * A)}
    softplus = {name: [np.log1p(np.exp(x)).mean() for x in o] for name, o in outputs.items()}
    negative = {name: [np.log1p(np.exp(-x)).mean() for x in o] for name, o in outputs.items()}
    expected = sum(negative["real"] + softplus["fake"]) / 2
    assert history["discriminator_loss"] == pytest.approx([expected])
    assert history["generator_loss"] == pytest.approx([sum(negative["fake"])])
    probability = np.mean([(1 / (1 + np.exp(-x))).mean() for x in outputs["real"]])
    assert history["real_score"] == pytest.approx([probability])


def test_validation_logs_losses_and_changes_nothing():
    model = one_weight(pool_size=2)
    before = [weight.copy() for weight in model.get_weights()]
    logs = model.evaluate(A, B, batch_size=2, verbose=0, return_dict=True)
    loss, cycle, identity, *_ = terms(10.0, 0.5)
    assert logs["generator_loss"] == pytest.approx(loss)
    assert logs["cycle"] == pytest.approx(cycle)
    assert logs["identity"] == pytest.approx(identity)
    assert "gradient_norm" not in logs
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_an_update_leaves_the_other_networks_untouched():
    def normalized(*rates):
        model = one_weight(*rates, before=lambda: [keras.layers.BatchNormalization()])
        generators, discriminators = networks(model)[:2], networks(model)[2:]
        values = [[v.numpy().tobytes() for v in model.generator_variables]]
        values += [[v.numpy().tobytes() for v in model.discriminator_variables]]
        fit(model)
        values += [[v.numpy().tobytes() for v in model.generator_variables]]
        values += [[v.numpy().tobytes() for v in model.discriminator_variables]]
        weights = [[w for part in parts for w in part.get_weights()]
                   for parts in (generators, discriminators)]  # fmt: skip
        return values, *weights

    values, _, discriminators_alone = normalized(0.0, 0.1)
    generator, discriminator, generator_after, discriminator_after = values
    assert generator == generator_after
    assert discriminator != discriminator_after
    values, generators_alone, _ = normalized(0.1, 0.0)
    *_, generator_after, discriminator_after = values
    assert generator != generator_after
    assert discriminator == discriminator_after
    # Moving statistics also come from a network's own update.
    _, generators, discriminators = normalized(0.1, 0.1)
    pairs = zip(
        [*discriminators, *generators], [*discriminators_alone, *generators_alone], strict=True
    )
    # Threads may add in another order.
    for together, alone in pairs:
        np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_moving_statistics_of_discriminators_come_from_the_images_that_they_judge():
    model = one_weight(before=lambda: [keras.layers.BatchNormalization(momentum=0.9)])
    fit(model)
    fake = P * (A - A.mean()) / np.sqrt(A.var() + 1e-3)
    expected = 0.9 * (0.1 * B.mean()) + 0.1 * fake.mean()
    mean = model.discriminator_b.layers[0].moving_mean.numpy().item()
    assert mean == pytest.approx(expected, abs=1e-6)


def test_discriminators_see_the_images_from_the_pools():
    # With rates of 0 the scores are U and V times the means of the images from the pools.
    model = one_weight(0.0, 0.0, pool_size=2, seed=5)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 8, 1)).astype("float32")
    model.build_optimizers()
    shown = []
    for step in range(4):
        batch = a[2 * step : 2 * step + 2], b[2 * step : 2 * step + 2]
        logs = fit(model, *batch, batch_size=2)
        shown.append(logs["fake_score"][0])
    expected = []
    pools = [[], []]
    for step in range(4):
        scores = []
        fakes = Q * b[2 * step : 2 * step + 2], P * a[2 * step : 2 * step + 2]
        for stream, (pool, fake, weight) in enumerate(zip(pools, fakes, (U, V), strict=True)):
            random = stateless_random.uniform([2, 2], 5, tf.constant(step), stream).numpy()
            for image, (swap, which) in zip(fake.ravel(), random, strict=True):
                returned = image
                if step == 0:
                    pool.append(image)
                elif swap > 0.5:
                    returned, pool[int(2 * which)] = pool[int(2 * which)], image
                scores.append(weight * returned)
        expected.append(np.mean(scores))
    assert shown == pytest.approx(expected, rel=1e-5)
    for pool, expected in zip((model.pool_a, model.pool_b), pools, strict=True):
        np.testing.assert_allclose(pool.images.numpy().ravel(), expected, rtol=1e-6)


def small(**options):
    kinds = {"layers": 1, "filters": 2, "condition_channels": 0, "norm": "instance"}
    generators = [cyclegan_generator(blocks=1, filters=2) for _ in "ab"]
    model = CycleGAN(*generators, *(patchgan(**kinds) for _ in "ab"), **options)
    model.compile(jit_compile=False)
    return model


@pytest.mark.slow
def test_unpaired_data_sets_train_with_batches_of_any_size():
    model = small(pool_size=3, image_size=(8, 12))
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 5, 8, 12, 3))
    data = tf.data.Dataset.zip(
        *(tf.data.Dataset.from_tensor_slices(x).shuffle(5, seed=1).batch(2) for x in (a, b))
    )
    history = model.fit(data, epochs=2, verbose=0).history
    assert np.isfinite(history["generator_loss"]).all()
    assert int(model.pool_a.count) == 3
    assert model.translate_ba(a).shape == model(a).shape == a.shape


def test_pools_are_saved_in_a_keras_file(tmp_path):
    model = one_weight(pool_size=2)
    fit(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for pool, original in ((again.pool_a, model.pool_a), (again.pool_b, model.pool_b)):
        assert int(pool.count) == 2
        np.testing.assert_array_equal(pool.images, original.images)
        assert np.abs(pool.images.numpy()).min() > 0


def test_inference_works_in_both_directions():
    model = one_weight()
    np.testing.assert_allclose(model(A), P * A, rtol=1e-6)
    np.testing.assert_allclose(model.translate_ba(B), Q * B, rtol=1e-6)


def test_images_of_another_size_than_image_size_are_rejected():
    model = small(pool_size=3, image_size=16)
    images = np.zeros((2, 8, 8, 3), "float32")
    with pytest.raises(ValueError, match=r"images of shape \(16, 16, 3\), not \(8, 8, 3\)"):
        fit(model, images, images)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, r"pool_size=50 needs the images' size: give image_size, such as \(256, 256\)"),
        ({"image_size": (8, 0)}, "image_size must be one or two integers of at least 1"),
        ({"pool_size": -1}, "pool_size must be an integer of at least 0, not -1"),
        ({"pool_size": 0, "cycle_weight": -1.0}, "cycle_weight must be at least 0, not -1.0"),
        ({"pool_size": 0, "identity_weight": "a"}, "identity_weight must be at least 0, not 'a'"),
        ({"pool_size": 0, "seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"pool_size": 0, "objective": "none"}, "'none' is not one of minimax"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_networks_that_do_not_match_are_rejected():
    ab, ba, a, b = networks(one_weight())
    with pytest.raises(ValueError, match="generator_ab and generator_ba must be two networks"):
        CycleGAN(ab, ab, a, b, pool_size=0)
    with pytest.raises(ValueError, match="discriminator_a and discriminator_b must be two"):
        CycleGAN(ab, ba, a, a, pool_size=0)
    with pytest.raises(ValueError, match="generator_ba has no weights yet"):
        CycleGAN(ab, keras.Sequential([keras.layers.Dense(1)]), a, b, pool_size=0)
    to_grey = cyclegan_generator(blocks=1, filters=2, output_channels=1)
    to_color = cyclegan_generator(blocks=1, filters=2, channels=1)
    with pytest.raises(ValueError, match="identity_weight must be 0 where A and B have different"):
        CycleGAN(to_grey, to_color, a, b, pool_size=0)


def test_a_single_set_of_images_is_rejected():
    with pytest.raises(ValueError, match=r"fit must be given \(a, b\), two batches of images"):
        one_weight().fit(A, verbose=0)
