"""ONNX files: the outputs of ONNX Runtime match the model's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import onnx, publish
from dlrecipes.export.onnx import OnnxModel, convert
from dlrecipes.export.signatures import Signature
from dlrecipes.export.verification import check

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")


def test_a_convolutional_network_matches_and_is_verified(tmp_path):
    keras.utils.set_random_seed(3)
    x = keras.Input((12, 12, 1), name="images")
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(x)
    hidden = keras.layers.BatchNormalization()(keras.layers.MaxPooling2D()(hidden))
    model = keras.Model(x, keras.layers.Dense(3, name="y")(keras.layers.Flatten()(hidden)))
    images = np.random.default_rng(0).normal(size=(5, 12, 12, 1)).astype("float32")
    version = publish(model, tmp_path / "net", examples=images, onnx=True)
    outputs = OnnxModel(version / "model.onnx")(images=images)
    np.testing.assert_allclose(outputs["y"], model(images), atol=1e-5)
    assert "model.onnx: matches the model on 2 examples" in list(check(version))


def test_an_lstm_runs_at_any_length():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, return_sequences=True)])
    signature = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([1, None, 3], tf.float32, name="x")], []
    )
    content = convert(signature)
    session = pytest.importorskip("onnxruntime").InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    for time in (1, 6):
        x = np.random.default_rng(time).normal(size=(1, time, 3)).astype("float32")
        (outputs,) = session.run(["y"], {"x": x})
        np.testing.assert_allclose(outputs, model(x), atol=1e-5)


def test_a_failed_conversion_is_a_one_line_error():
    signature = Signature(
        lambda x: {"y": tf.strings.length(tf.strings.as_string(x))},
        [tf.TensorSpec([3], tf.float32, name="x")],
        [],
    )
    with pytest.raises(PublishError, match=r"^model.onnx: .*\. Publish it without --format onnx"):
        convert(signature)


def test_a_missing_converter_says_what_to_install(monkeypatch):
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'dlrecipes\[onnx\]'"):
        onnx.check_installed()
