import keras
import numpy as np
import pytest
from contract import on_tensorflow

from dlrecipes.layers import ConditionalBatchNormalization

RNG = np.random.default_rng(0)
X = (3 + 2 * RNG.normal(size=(4, 2, 3, 5))).astype("float32")
IDS = np.array([2, 0, 2, 1], "int32")
VECTORS = RNG.normal(size=(4, 6)).astype("float32")
MEAN, VARIANCE = X.mean(axis=(0, 1, 2)), X.var(axis=(0, 1, 2))
# One condition of each kind, and the rows that multiply the weights of gain and bias.
CONDITIONS = {"ids": (3, IDS, np.eye(3)[IDS]), "vectors": (None, VECTORS, VECTORS)}

each_condition = pytest.mark.parametrize("condition", CONDITIONS)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def made(condition, **kwargs):
    num_classes, values, rows = CONDITIONS[condition]
    layer = ConditionalBatchNormalization(num_classes, **kwargs)
    layer.build([X.shape, values.shape])
    return layer, values, rows


def randomize(layer):
    """Assigns random weights to both maps and returns them."""
    maps = (layer.gain, layer.bias)
    tables = [RNG.normal(size=linear.kernel.shape) for linear in maps]
    for linear, table in zip(maps, tables, strict=True):
        linear.kernel.assign(table)
    return tables


def by_hand(x, mean, variance, gain, bias, epsilon=1e-3):
    normalized = (x - mean) / np.sqrt(variance + epsilon)
    return (1 + gain[:, None, None]) * normalized + bias[:, None, None]


@each_condition
def test_training_normalises_by_the_batch_and_updates_the_statistics(condition):
    layer, values, rows = made(condition, momentum=0.75)
    gain, bias = (rows @ table for table in randomize(layer))
    y = numpy(layer([X, values], training=True))
    np.testing.assert_allclose(y, by_hand(X, MEAN, VARIANCE, gain, bias), atol=1e-4)
    statistics = layer.normalization
    np.testing.assert_allclose(numpy(statistics.moving_mean), 0.25 * MEAN, rtol=1e-5)
    np.testing.assert_allclose(numpy(statistics.moving_variance), 0.75 + 0.25 * VARIANCE, rtol=1e-5)


@each_condition
def test_inference_normalises_by_the_moving_statistics(condition):
    layer, values, rows = made(condition, epsilon=0.5)
    gain, bias = (rows @ table for table in randomize(layer))
    mean, variance = RNG.normal(size=5), RNG.uniform(1, 2, size=5)
    layer.normalization.moving_mean.assign(mean)
    layer.normalization.moving_variance.assign(variance)
    expected = by_hand(X, mean, variance, gain, bias, epsilon=0.5)
    np.testing.assert_allclose(numpy(layer([X, values])), expected, atol=1e-4)
    np.testing.assert_allclose(numpy(layer.normalization.moving_mean), mean, rtol=1e-6)


@each_condition
def test_it_starts_as_plain_batch_normalisation(condition):
    layer, values, _ = made(condition)
    expected = numpy(keras.layers.BatchNormalization()(X, training=True))
    np.testing.assert_allclose(numpy(layer([X, values], training=True)), expected, atol=1e-5)


def test_frozen_layer_infers_even_in_training():
    layer, values, _ = made("ids")
    layer.trainable = False
    y = numpy(layer([X, values], training=True))
    np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-3), atol=1e-5)
    np.testing.assert_array_equal(numpy(layer.normalization.moving_mean), np.zeros(5))


def test_statistics_are_exact_under_a_16_bit_policy():
    # Integers that bfloat16 represents, with a mean and a variance that it does not.
    x = RNG.integers(0, 200, size=(4, 9, 9, 5)).astype("float32")
    layer, values, _ = made("ids", momentum=0.0, dtype="mixed_bfloat16")
    y = layer([x, values], training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    statistics = layer.normalization
    np.testing.assert_allclose(numpy(statistics.moving_mean), x.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(numpy(statistics.moving_variance), x.var(axis=(0, 1, 2)), rtol=1e-5)


def test_features_may_have_any_rank():
    layer = ConditionalBatchNormalization(3)
    x = X[:, 0, 0]
    y = numpy(layer([x, IDS], training=True))
    expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_fit_learns_a_gain_and_bias_per_class(tmp_path):
    rng = np.random.default_rng(1)
    # The same batch sixty times.
    x = np.tile(rng.normal(size=(64, 2)).astype("float32"), (60, 1))
    ids = (np.arange(64 * 60) % 2).astype("int32")
    target = np.where(ids[:, None] == 0, 3 * x + 1, 0.5 * x - 2)
    inputs = {"x": keras.Input((2,), name="x"), "ids": keras.Input((), dtype="int32", name="ids")}
    layer = ConditionalBatchNormalization(3, momentum=0.5)
    model = keras.Model(inputs, layer([inputs["x"], inputs["ids"]]))
    model.compile(keras.optimizers.SGD(0.5), "mse")
    data = {"x": x, "ids": ids}
    model.fit(data, target, batch_size=64, shuffle=False, verbose=0)
    # Normalisation removes the mean and the deviation of x, and the gains restore them.
    gain = 1 + numpy(layer.gain.kernel)
    np.testing.assert_allclose(gain[0], 3 * x.std(axis=0), rtol=0.01)
    np.testing.assert_allclose(gain[1], 0.5 * x.std(axis=0), rtol=0.01)
    np.testing.assert_array_equal(gain[2], 1)
    assert model.evaluate(data, target, batch_size=640, verbose=0) < 0.01
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(data)), numpy(model(data)))


@on_tensorflow
@each_condition
def test_spectral_normalization_makes_the_norm_of_both_maps_1(condition):
    layer, values, rows = made(
        condition,
        gain_initializer="orthogonal",
        bias_initializer=keras.initializers.RandomNormal(stddev=3),
        spectral_normalization=True,
    )
    for _ in range(50):
        layer([X, values], training=True)
    for linear in (layer.gain, layer.bias):
        norms = np.linalg.svd(numpy(linear.layer.kernel), compute_uv=False)
        np.testing.assert_allclose(norms[0], 1, atol=1e-3)
    statistics = (numpy(w) for w in layer.normalization.weights)
    gain, bias = (rows @ numpy(linear.layer.kernel) for linear in (layer.gain, layer.bias))
    np.testing.assert_allclose(
        numpy(layer([X, values])), by_hand(X, *statistics, gain, bias), atol=1e-4
    )


def test_gain_and_bias_start_different_from_one_another():
    random = keras.initializers.RandomNormal()
    layer, _, _ = made("vectors", gain_initializer=random, bias_initializer=random)
    assert np.all(numpy(layer.gain.kernel) != numpy(layer.bias.kernel))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_classes", 0),
        ("num_classes", 1.5),
        ("momentum", -0.1),
        ("momentum", 1.1),
        ("epsilon", 0.0),
        ("epsilon", -1.0),
    ],
)
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        ConditionalBatchNormalization(**{name: value})


@pytest.mark.parametrize(("num_classes", "condition"), [(3, VECTORS), (None, IDS)])
def test_a_condition_of_the_other_kind_raises(num_classes, condition):
    with pytest.raises(ValueError, match="condition must be of shape"):
        ConditionalBatchNormalization(num_classes)([X, condition])


def test_features_without_a_condition_raise():
    x = np.zeros((2, 4, 4, 3), "float32")
    with pytest.raises(
        ValueError, match="inputs must be a list of features and condition, not one"
    ):
        ConditionalBatchNormalization()(x)
    with pytest.raises(ValueError, match="condition, not 1 tensors"):
        ConditionalBatchNormalization()([x])
