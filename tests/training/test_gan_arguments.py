"""GANs with batches of any size and in float16, and arguments that are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gan_case import X, conditional, plain

from dlrecipes.training import GAN


def variable_length_generator():
    x = keras.Input((None, 1))
    return keras.Model(x, keras.layers.GlobalAveragePooling1D()(x))


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("count", [5, 9])
def test_the_last_batch_of_an_epoch_may_be_any_size(count, eager):
    model = GAN(plain(), plain(), discriminator_steps=2)
    model.compile(run_eagerly=eager)
    logs = model.fit(np.ones((count, 1)), batch_size=4, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    assert model.discriminator_optimizer.iterations == 2 * model.optimizer.iterations


def test_a_batch_of_static_size_must_contain_k_minibatches():
    model = GAN(plain(), plain(), discriminator_steps=2)
    model.compile()
    rows = tf.data.Dataset.from_tensor_slices(tf.ones((6, 1))).batch(3, drop_remainder=True)
    with pytest.raises(ValueError, match="a multiple of 2 examples, not 3"):
        model.fit(rows, verbose=0)


def test_float16_training_scales_the_losses_of_both_networks():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = GAN(plain(2, 3), plain(3, 1), 2, "least_squares")
    finally:
        keras.config.set_dtype_policy(before)
    model.compile(keras.optimizers.SGD(0.01))
    optimizers = (model.optimizer, model.discriminator_optimizer)
    scaled = keras.optimizers.LossScaleOptimizer
    assert all(isinstance(optimizer, scaled) for optimizer in optimizers)
    weights = [np.array(w) for w in model.trainable_variables]
    logs = model.fit(np.ones((64, 3)), batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(logs["discriminator_loss"]).all() and max(logs["gradient_norm"]) < 100
    changed = [
        not np.array_equal(w, old)
        for w, old in zip(model.trainable_variables, weights, strict=True)
    ]
    assert all(changed)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"discriminator_steps": 0}, "discriminator_steps must be an integer of at least 1"),
        ({"objective": "cross_entropy"}, "'cross_entropy' is not one of minimax"),
        ({"gradient_penalty_weight": -1}, "gradient_penalty_weight must be at least 0"),
        ({"noise": "poisson"}, "noise must be one of normal, uniform, not 'poisson'"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"generator": plain(1, 2)}, r"expects shape \(None, 1\), the generator outputs"),
        ({"generator": keras.Sequential([keras.layers.Dense(1)])}, "with a known input"),
        (
            {"generator": conditional("noise", 1)},
            "both networks must have an input 'label', or neither",
        ),
        ({"generator": variable_length_generator()}, "noise must have a known shape"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GAN(**{"generator": plain(), "discriminator": plain(), **kwargs})


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"metrics": ["mae"]}])
def test_losses_and_metrics_are_rejected(options):
    with pytest.raises(ValueError, match=f"GAN has its own .* no {next(iter(options))}"):
        GAN(plain(), plain()).compile(**options)


def test_data_that_do_not_fit_the_networks_are_rejected():
    model = GAN(plain(), plain())
    model.compile()
    with pytest.raises(ValueError, match="must be given images alone"):
        model.fit(X, np.zeros(4), verbose=0)
    with pytest.raises(ValueError, match=r"must have shape \(None, 1\), not \(.*, 2\)"):
        model.fit(np.ones((4, 2)), verbose=0)
    with pytest.raises(ValueError, match="labels must be None"):
        model.sample(2, labels=[0, 1])
    model = GAN(conditional("noise", 1), conditional("image", 1))
    model.compile()
    with pytest.raises(ValueError, match="takes no sample weights"):
        model.fit(X, np.zeros(4, int), sample_weight=np.ones(4), verbose=0)
    with pytest.raises(ValueError, match=r"must be given \(images, labels\)"):
        model.fit(X, verbose=0)
    with pytest.raises(ValueError, match="labels must be given"):
        model.sample(2)
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\), not \(3,\)"):
        model.sample(2, labels=[0, 1, 2])
