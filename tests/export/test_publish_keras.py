"""Publishing Keras models of any structure, with every file; a fresh process checks each."""

import keras
import numpy as np
import pytest
from keras import layers

import dlrecipes
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import publish
from dlrecipes.export.onnx import can_run
from dlrecipes.export.signatures import Signature
from dlrecipes.export.verification import check

RNG = np.random.default_rng(0)
X, Y = (RNG.normal(size=(4, 5, 3)).astype("float32") for _ in range(2))


@keras.saving.register_keras_serializable("tests")
class Attention(keras.Model):
    """A model with two arguments, and a nested dictionary of results."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = layers.Attention()
        self.head = layers.Dense(2)

    def build(self, query_shape, context_shape):
        self.head.build(query_shape)

    def call(self, query, context):
        attended = self.attention([query, context])
        return {"heads": [self.head(attended), attended], "mask": None}


def matches(outputs, expected):
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5)


def test_a_recurrent_model_with_unnamed_inputs_and_all_states_is_published_twice(tmp_path):
    first, second = keras.Input((None, 3), name="User-ID"), keras.Input((None, 3))
    lstm = layers.LSTM(4, return_sequences=True, return_state=True, name="state")
    model = keras.Model([first, second], lstm(first + second))
    inputs = {"User_ID": X[:1], "input": Y[:1]}
    expected = dict(zip(["state", "state_1", "state_2"], model([X[:1], Y[:1]]), strict=True))
    for examples in ([X, Y], {"input": Y, "User-ID": X}):
        folder = publish(model, tmp_path / "net", examples=examples, onnx=can_run())
        version = dlrecipes.load(folder).version
        matches(version.call(**inputs), expected)
        matches(version.litert()(**inputs), expected)
        assert "`User_ID` is the model's input `User-ID`" in (folder / "README.md").read_text()
        # The loaded model, whose unnamed input has another name in Keras, is published next.
        model = version.keras_model()
    assert [path.name for path in sorted((tmp_path / "net").iterdir())] == ["1", "2"]


@pytest.mark.slow
def test_a_model_with_several_arguments_and_nested_results_is_published(tmp_path):
    model = Attention(name="attention")
    attended = model(X, Y)["heads"]
    expected = {"heads_0": attended[0], "heads_1": attended[1]}
    published = dlrecipes.publish(model, tmp_path / "net", examples={"context": Y, "query": X})
    matches(published.version.call(query=X, context=Y), expected)
    matches(published.litert()(query=X, context=Y), expected)
    card = (published.folder / "README.md").read_text()
    assert "| output | `heads_1` | float32 |" in card
    assert published.predict([{"query": X[0].tolist(), "context": Y[0].tolist()}])[0].keys() == {
        "heads_0",
        "heads_1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_model_without_parameters_and_with_integer_inputs_is_published(tmp_path, dtype):
    model = keras.Sequential([keras.Input((3,), dtype=dtype), layers.Rescaling(0.5, name="y")])
    x = np.array([[1, 2, 127], [0, 100, 5]], dtype)
    published = dlrecipes.publish(model, tmp_path / "my net", examples=x)
    for outputs in (published.version.call(input=x), published.litert()(input=x)):
        np.testing.assert_allclose(outputs["y"], 0.5 * x)
    assert "0 parameters." in (published.folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        ({"predict": Signature(lambda x: {"y": x}, [], [])}, "signature serving_default, got pre"),
        ({"serving_default": lambda x: x}, "signature serving_default is of type function"),
        ({}, "signature serving_default, got none"),
    ],
)
def test_signatures_that_cannot_be_published_are_rejected(model, tmp_path, signatures, message):
    with pytest.raises(UsageError, match=message):
        dlrecipes.publish(model, tmp_path / "net", signatures=signatures)
    assert not (tmp_path / "net").exists()


def test_a_model_with_lora_is_published_and_verified(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(2, name="y")(x))
    model.get_layer("y").enable_lora(1)
    model.get_layer("y").lora_kernel_b.assign([[1, 2]])
    version = publish(model, tmp_path / "net", examples=np.eye(3, dtype="float32"))
    # Keras adds the matrices to the kernel in the file.
    loaded = keras.saving.load_model(version / "model.keras")
    assert not np.allclose(loaded.get_layer("y").kernel, model.get_layer("y")._kernel)
    assert any("model.keras" in line and "matches" in line for line in check(version))


def test_a_folder_that_cannot_be_made_is_one_line(model, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / ("n" * 300), tmp_path / "file" / "net"):
        with pytest.raises(PublishError, match="Nothing was published") as caught:
            publish(model, folder, examples=np.ones((1, 3), "float32"))
        assert str(folder) in caught.value.message
