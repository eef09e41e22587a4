import keras
import numpy as np
import pytest
from contract import on_tensorflow

from dlrecipes import layers
from dlrecipes.models import dcgan_discriminator

RNG = np.random.default_rng(0)
X = RNG.normal(2.0, 3.0, size=(6, 5, 4, 3)).astype("float32")
UPSTREAM = RNG.normal(size=X.shape).astype("float32")


def pair(shape=X.shape, **kwargs):
    """Our layer and Keras' layer, with the same random weights."""
    both = layers.BatchNormalization(**kwargs), keras.layers.BatchNormalization(**kwargs)
    values = None
    for layer in both:
        layer.build(shape)
        values = values or [RNG.uniform(0.5, 2, size=w.shape) for w in layer.weights]
        layer.set_weights(values)
    return both


def assert_close(ours, theirs, **tolerance):
    for actual, expected in zip(ours, theirs, strict=True):
        actual, expected = (
            keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for v in (actual, expected)
        )
        np.testing.assert_allclose(actual, expected, **{"rtol": 1e-4, "atol": 1e-4, **tolerance})


def test_outputs_and_moving_averages_by_hand():
    """Two examples 1 and 3: mean 2, variance 1; gamma 10, beta 5: 5 -+ 10."""
    layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-9)
    layer.build((None, 1))
    layer.set_weights([np.array([value]) for value in (10.0, 5.0, 0.0, 4.0)])
    outputs = layer(np.array([[1.0], [3.0]], "float32"), training=True)
    assert_close([outputs], [np.array([[-5.0], [15.0]])])
    # A tenth of the way from 0 to 2, and from 4 to 1.
    assert_close([layer.moving_mean, layer.moving_variance], [np.array([0.2]), np.array([3.7])])


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3), (6, 5, 4, 3), (2, 3, 4, 2, 3), (1, 3)])
@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"scale": False}, {"epsilon": 0.1, "momentum": 0.5}]
)
def test_training_agrees_with_keras(shape, options):
    x = RNG.normal(1.0, 2.0, size=shape).astype("float32")
    ours, theirs = pair(shape, **options)
    assert_close([ours(x, training=True)], [theirs(x, training=True)])
    assert_close(ours.weights, theirs.weights)
    assert_close([ours(x, training=False)], [theirs(x, training=False)])


@on_tensorflow
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}])
def test_gradients_agree_with_keras(options):
    import tensorflow as tf

    results = []
    for layer in pair(**options):
        with tf.GradientTape() as tape:
            x = tf.constant(X)
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * UPSTREAM)
        results.append(tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]]))
    assert_close(*results, rtol=1e-3, atol=1e-3)


@on_tensorflow
def test_gradients_of_gradients_agree_with_keras():
    """A gradient penalty needs them."""
    import tensorflow as tf

    results = []
    for layer in pair():
        x = tf.constant(X)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                outputs = tf.reduce_sum(layer(x, training=True) ** 2 * UPSTREAM)
            norm = tf.reduce_sum(inner.gradient(outputs, x) ** 2)
        results.append([outer.gradient(norm, layer.gamma.value)])
    assert_close(*results, rtol=1e-3)


@on_tensorflow
def test_training_is_one_operation_and_other_cases_use_keras():
    import tensorflow as tf

    def kinds(layer, **kwargs):
        function = tf.function(lambda x: layer(x, training=True, **kwargs))
        graph = function.get_concrete_function(tf.TensorSpec([None, 5, 4, 3])).graph
        return {operation.type for operation in graph.get_operations()}

    assert "FusedBatchNormV3" in kinds(pair()[0])
    others = [pair((None, 5, 4, 3), axis=1)[0], pair(renorm=True)[0]]
    frozen = pair()[0]
    frozen.trainable = False
    for layer in [*others, frozen]:
        assert "FusedBatchNormV3" not in kinds(layer)
    assert "FusedBatchNormV3" not in kinds(pair()[0], mask=tf.ones([6, 5, 4], bool))


@on_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("distance", [0, 100, 4000])
def test_channels_far_from_zero_are_normalised_with_and_without_xla(distance, jit_compile):
    """The reference is float64 NumPy, on the inputs as float32 stores them."""
    import tensorflow as tf

    x = (np.random.default_rng(1).normal(size=(32, 8, 8, 3)) + distance).astype("float32")
    layer = layers.BatchNormalization(momentum=0.0)

    @tf.function(jit_compile=jit_compile)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            cost = tf.reduce_sum(tf.sin(y))
        return y, tape.gradient(cost, x)

    exact = x.astype("float64")
    mean, variance = exact.mean((0, 1, 2)), exact.var((0, 1, 2))
    deviation = np.sqrt(variance + layer.epsilon)
    y = (exact - mean) / deviation
    upstream = np.cos(y)
    dx = upstream - upstream.mean((0, 1, 2)) - y * (upstream * y).mean((0, 1, 2))
    # A sum over 2,048 numbers rounds the mean by some units in its last place.
    tolerance = 1e-5 + 32 * np.finfo("float32").eps * distance
    assert_close(gradient(x), [y, dx / deviation], rtol=0, atol=tolerance)
    averages = [layer.moving_mean, layer.moving_variance]
    assert_close(averages, [mean, variance], rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_inputs_that_are_not_floats_agree_with_keras(dtype, policy):
    x = keras.ops.cast(RNG.integers(0, 200, size=(6, 4)), dtype)
    ours, theirs = pair(x.shape, dtype=policy)
    assert_close([ours(x, training=True)], [theirs(x, training=True)])
    assert ours.compute_dtype == keras.backend.standardize_dtype(ours(x, training=True).dtype)
    theirs(x, training=True)
    assert_close(ours.weights, theirs.weights)


def test_axes_and_masks_agree_with_keras():
    mask = RNG.uniform(size=X.shape[:3]) < 0.7
    for options, kwargs in (({"axis": 1}, {}), ({}, {"mask": keras.ops.convert_to_tensor(mask)})):
        ours, theirs = pair(**options)
        assert_close([ours(X, training=True, **kwargs)], [theirs(X, training=True, **kwargs)])
        assert_close(ours.weights, theirs.weights)


def test_frozen_layer_normalises_by_its_moving_averages_without_updating_them():
    layer, _ = pair()
    layer.trainable = False
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in layer.weights]
    assert_close([layer(X, training=True)], [layer(X, training=False)])
    assert_close(layer.weights, before, rtol=0, atol=0)


def test_bfloat16_keeps_its_averages_in_float32():
    layer = layers.BatchNormalization(dtype="mixed_bfloat16", momentum=0.0)
    outputs = layer(X, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(X, "bfloat16"), "float32"))
    axes = (0, 1, 2)
    averages = [rounded.mean(axes), rounded.var(axes)]
    assert_close([layer.moving_mean, layer.moving_variance], averages)


def test_networks_load_weights_of_keras_layers(tmp_path):
    ours = dcgan_discriminator(size=28, channels=1, filters=4)
    clone = keras.models.clone_model(
        ours,
        clone_function=lambda layer: (
            keras.layers.BatchNormalization.from_config(layer.get_config())
            if isinstance(layer, layers.BatchNormalization)
            else layer.__class__.from_config(layer.get_config())
        ),
    )
    clone.save_weights(tmp_path / "keras.weights.h5")
    ours.load_weights(tmp_path / "keras.weights.h5")
    x = RNG.normal(size=(2, 28, 28, 1)).astype("float32")
    assert_close([ours(x)], [clone(x)])
