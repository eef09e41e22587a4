"""Models in other precisions: their LiteRT files compute in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlrecipes.errors import PublishError
from dlrecipes.export import publish
from dlrecipes.export.litert import LiteRTModel, concrete_function
from dlrecipes.export.litert_files import prepared
from dlrecipes.export.litert_support import LiteRTError
from dlrecipes.export.precision import in_float32, other_precisions
from dlrecipes.export.reference_outputs import assert_match
from dlrecipes.export.signatures import Exports, Signature, exports_from_model
from dlrecipes.export.version import ModelVersion

IMAGES = np.random.default_rng(0).uniform(size=(2, 6, 6, 1)).astype("float32")
POLICIES = {
    "mixed_float16": tf.float16,
    "mixed_bfloat16": tf.bfloat16,
    "float64": tf.float64,
    "float16": tf.float16,
    "bfloat16": tf.bfloat16,
}


def convolutional(policy):
    keras.utils.set_random_seed(0)
    x = keras.Input((6, 6, 1), name="x")
    hidden = layers.Conv2D(3, 3, activation="relu", dtype=policy)(x)
    hidden = layers.BatchNormalization(dtype=policy)(hidden)
    hidden = layers.Flatten(dtype=policy)(layers.MaxPooling2D(dtype=policy)(hidden))
    return keras.Model(x, layers.Dense(2, "softmax", dtype=policy, name="y")(hidden), name="net")


def recurrent(policy):
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 3), name="x")
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True, dtype=policy))(x)
    return keras.Model(x, layers.Dense(2, dtype=policy, name="y")(hidden), name="net")


def litert_signature(model, examples):
    signature = exports_from_model(model, examples).litert
    return signature, concrete_function(signature)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_graph_in_float32_has_the_outputs_of_a_float32_model(policy):
    model, reference = convolutional(policy), convolutional("float32")
    reference.set_weights([np.asarray(weight, "float32") for weight in model.get_weights()])
    signature, function = litert_signature(model, IMAGES)
    assert other_precisions(function) == [POLICIES[policy]]
    again = in_float32(signature, function)
    assert other_precisions(concrete_function(again)) == []
    outputs = again.function(tf.constant(IMAGES))["y"]
    assert outputs.dtype == tf.float32
    np.testing.assert_allclose(outputs, reference(IMAGES), atol=1e-6)


def test_loops_are_in_float32_as_well():
    x = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    model, reference = recurrent("mixed_bfloat16"), recurrent("float32")
    reference.set_weights(model.get_weights())
    again = in_float32(*litert_signature(model, x))
    assert other_precisions(concrete_function(again)) == []
    np.testing.assert_allclose(again.function(tf.constant(x))["y"], reference(x), atol=1e-6)


def test_a_float32_model_is_left_as_it_is():
    exports = exports_from_model(convolutional("float32"), IMAGES)
    assert prepared(exports) is exports


def test_a_model_with_several_policies_is_published_in_float32(tmp_path):
    parts = [
        layers.Conv2D(2, 3, dtype="mixed_float16"),
        layers.Conv2D(2, 3, dtype="mixed_bfloat16"),
        layers.Flatten(),
        layers.Dense(2, dtype="float64", name="y"),
    ]
    model = keras.Sequential([keras.Input((6, 6, 1), name="x"), *parts])
    folder = publish(model, tmp_path / "net", examples=IMAGES, litert=True)
    outputs = LiteRTModel(folder / "model.tflite")(x=IMAGES)["y"]
    assert outputs.dtype == np.float32
    # Numbers in bfloat16 have 8 bits, and 18 products are summed.
    expected = model(IMAGES)
    np.testing.assert_allclose(outputs, expected, atol=18 * 2**-8 * np.abs(expected).max())
    card = (folder / "README.md").read_text()
    assert "computes in float32 what the model computes in bfloat16 and float16 and float64" in card
    # The SavedModel keeps the policies, as Keras' own export does, and the card gives its types.
    assert ModelVersion(folder).function()(x=tf.constant(IMAGES))["y"].dtype == tf.float64
    assert "| output | `y` | float64 |" in card
    assert "| output | `y` | float32 |" in card


@pytest.mark.slow
@pytest.mark.parametrize("make", [convolutional, recurrent])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_each_policy_is_published(tmp_path, make, policy):
    examples = IMAGES if make is convolutional else np.ones((2, 4, 3), "float32")
    model = make(policy)
    folder = publish(model, tmp_path / "net", examples=examples, litert=True)
    outputs = ModelVersion(folder).function()(x=tf.constant(examples))["y"]
    assert outputs.dtype == model.outputs[0].dtype


def test_a_model_that_needs_its_precision_has_no_litert_file():
    # The sum of 1 and 1e-9 is 1 in float32.
    def function(x):
        x = tf.cast(x, tf.float64)
        return {"y": ((x + 1e-9) - x) * 1e9}

    spec = tf.TensorSpec([None], tf.float32, name="x")
    signature = Signature(function, [spec], [(np.ones(2, "float32"),)])
    with pytest.raises(LiteRTError, match="LiteRT computes in float32, and y differs"):
        prepared(Exports({"serving_default": signature}, signature))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_outputs_may_differ_by_rounding_errors_of_their_type(dtype):
    one = tf.constant([1.0], dtype).numpy()
    after = np.nextafter(one, 2 * one)
    assert_match("x", {"y": one}, {"y": after})
    with pytest.raises(PublishError, match="differs from the model"):
        assert_match("x", {"y": one}, {"y": one + one / 8})
