"""What `publish` refuses before it writes anything, in one line each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import publish
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.model_checks import check_model
from dlrecipes.export.reference_outputs import check_graph
from dlrecipes.export.signatures import Signature


def legacy_model():
    legacy = type("Model", (), {"__module__": "tf_keras.src.engine.training"})
    return type("Sequential", (legacy,), {"__module__": "__main__"})()


def torch_module():
    return type("Linear", (), {"__module__": "torch.nn.modules.linear"})()


def classifier():
    return type("LogisticRegression", (), {"__module__": "sklearn.linear_model"})()


@pytest.mark.parametrize(
    ("thing", "message", "hint"),
    [
        (legacy_model(), "got Sequential of tf_keras (Keras 2)", "keras.saving.load_model("),
        (torch_module(), "got Linear of PyTorch", "Only Keras models"),
        (classifier(), "got LogisticRegression of scikit-learn", "Only Keras models"),
        (keras.Model, "got the class", "Create the model first"),
        (keras.layers.Flatten(), "got the layer Flatten", "keras.Sequential(["),
        ("model.keras", "got str", "keras.saving.load_model(path)"),
        (tf.Module(), "got Module", "keras.Model"),
        (None, "got NoneType", "keras.Model"),
    ],
)
def test_what_is_not_a_keras_model_is_named(tmp_path, thing, message, hint):
    with pytest.raises(UsageError) as caught:
        publish(thing, tmp_path / "net", examples=np.ones((1, 3)))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert not (tmp_path / "net").exists()


def test_another_backend_is_refused(model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match=r"Keras computes with jax.*KERAS_BACKEND=tensorflow"):
        check_model(model)


def test_weights_that_are_not_finite_are_counted_and_named(tmp_path):
    parts = [keras.layers.Dense(3, name="first"), keras.layers.Dense(2, name="second")]
    model = keras.Sequential([keras.Input((4,)), *parts], name="net")
    weights = model.get_weights()
    weights[0][0, :2], weights[0][1, 1], weights[3][0] = np.nan, np.inf, -np.inf
    model.set_weights(weights)
    with pytest.raises(PublishError) as caught:
        publish(model, tmp_path / "net", examples=np.ones((1, 4)))
    assert caught.value.message == (
        "publish: the weight net/first/kernel has 2 NaN and 1 infinite among its 12 values. "
        "So has 1 more."
    )
    assert not (tmp_path / "net").exists()


def test_statistics_that_are_not_finite_are_named():
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(name="norm")])
    model.layers[0].moving_variance.assign([1.0, np.nan])
    with pytest.raises(PublishError, match=r"norm/moving_variance has 1 NaN among its 2 values\."):
        check_model(model)


def test_weights_in_half_precision_are_checked():
    dense = keras.layers.Dense(1, dtype="bfloat16", name="dense")
    model = keras.Sequential([keras.Input((2,)), dense])
    check_model(model)
    dense.bias.assign([np.inf])
    with pytest.raises(PublishError, match="dense/bias has 1 infinite among its 1 values"):
        check_model(model)


def test_a_model_that_cannot_be_called_is_reported_with_its_layer(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Untrained(keras.layers.Layer):
        def call(self, x, training=None):
            if training is False:
                raise ValueError("no inference here")
            return x

    model = keras.Sequential([keras.Input((3,)), Untrained()], name="net")
    with pytest.raises(UsageError) as caught:
        publish(model, tmp_path / "net", examples=np.ones((1, 3)))
    assert caught.value.message == (
        "net: the model cannot be called on the examples: Untrained.call(): no inference here."
    )
    assert not (tmp_path / "net").exists()


def test_a_table_that_no_layer_holds_is_reported_with_its_layer(tmp_path):
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant([1], tf.int64), tf.constant([2.0]))
    table = tf.lookup.StaticHashTable(entries, 0.0)

    @keras.saving.register_keras_serializable("tests")
    class Lookup(keras.layers.Layer):
        def call(self, x):
            return table.lookup(tf.cast(x, tf.int64))

    model = keras.Sequential([keras.Input((3,)), Lookup(name="lookup")], name="net")
    with pytest.raises(PublishError, match="the layer net/lookup uses a lookup table") as caught:
        publish(model, tmp_path / "net", examples=np.ones((1, 3)))
    assert "self.table = table" in caught.value.hint
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("model_name", "layer_name", "what", "proposal"),
    [("mon modèle", "y", "model", "mon_modele"), ("net", "sortie é", "layer", "sortie_e")],
)
def test_names_that_graphs_do_not_accept_are_refused(model_name, layer_name, what, proposal):
    x = keras.Input((2,), name="entrée")
    model = keras.Model(x, keras.layers.Dense(1, name=layer_name)(x), name=model_name)
    with pytest.raises(UsageError, match=f"of the {what} is not valid.*name='{proposal}'"):
        check_model(model)


def test_a_graph_that_differs_because_of_unknown_sizes_is_explained():
    spec = tf.TensorSpec([None, None], tf.float32, name="x")
    x = np.ones((2, 3), "float32")
    signature = Signature(lambda x: {"y": x}, [spec], [(x,)], expected={"y": x + 1})
    with pytest.raises(PublishError, match=r"y differs.*TimeDistributed.*give keras\.Input fixed"):
        check_graph("graph", signature, concrete_function(signature))
