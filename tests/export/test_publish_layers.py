"""Publishing models with layers that draw random numbers, take strings or do not run in LiteRT."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlrecipes import api
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import litert_files, publish
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.verification import check
from dlrecipes.export.version import ModelVersion

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 8, 3)).astype("float32")
UNIT = {"value_range": (0, 1)}
RANDOM = {
    "flip": lambda: layers.RandomFlip(),
    "rotation": lambda: layers.RandomRotation(0.3),
    "zoom": lambda: layers.RandomZoom(0.3),
    "contrast": lambda: layers.RandomContrast(0.5),
    "translation": lambda: layers.RandomTranslation(0.3, 0.3),
    "crop": lambda: layers.RandomCrop(8, 8),
    "brightness": lambda: layers.RandomBrightness(0.5, **UNIT),
    "hue": lambda: layers.RandomHue(0.5, **UNIT),
    "erasing": lambda: layers.RandomErasing(),
    "mix up": lambda: layers.MixUp(),
    "cut mix": lambda: layers.CutMix(),
    "noise": lambda: layers.GaussianNoise(1.0, seed=1),
    "dropout": lambda: layers.Dropout(0.5, seed=2),
    "nested": lambda: keras.Sequential([layers.RandomFlip(), layers.RandomZoom(0.5)]),
}
SLOW_RANDOM = {
    "rand augment": lambda: layers.RandAugment(**UNIT),
    "aug mix": lambda: layers.AugMix(**UNIT),
    "saturation": lambda: layers.RandomSaturation(0.5, **UNIT),
    "grayscale": lambda: layers.RandomGrayscale(),
    "sharpness": lambda: layers.RandomSharpness(0.5, **UNIT),
    "posterization": lambda: layers.RandomPosterization(4, **UNIT),
    "invert": lambda: layers.RandomInvert(**UNIT),
    "blur": lambda: layers.RandomGaussianBlur(**UNIT),
    "elastic": lambda: layers.RandomElasticTransform(0.5),
    "perspective": lambda: layers.RandomPerspective(0.5),
    "jitter": lambda: layers.RandomColorJitter(**UNIT),
    "alpha dropout": lambda: layers.AlphaDropout(0.5),
    "gaussian dropout": lambda: layers.GaussianDropout(0.5),
    "spatial dropout": lambda: layers.SpatialDropout2D(0.5),
    "pipeline": lambda: layers.Pipeline([layers.RandomFlip(), layers.RandomRotation(0.5)]),
}


def sequential(*parts, shape=(8, 8, 3), dtype="float32"):
    return keras.Sequential([keras.Input(shape, name="x", dtype=dtype), *parts], name="net")


def saved_model(folder, **inputs):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    (output,) = ModelVersion(folder).function()(**tensors).values()
    return output.numpy()


def assert_identity(parts, directory):
    """Publishes layers that are the identity in inference."""
    folder = publish(sequential(*parts), directory, examples=IMAGES, litert=True)
    (output,) = LiteRTModel(folder / "model.tflite")(x=IMAGES).values()
    np.testing.assert_allclose(output, IMAGES, atol=1e-6)
    np.testing.assert_allclose(saved_model(folder, x=IMAGES), IMAGES, atol=1e-6)
    loaded = ModelVersion(folder).keras_model()
    np.testing.assert_allclose(loaded(IMAGES, training=False), IMAGES, atol=1e-6)


def test_random_layers_are_the_identity_in_every_file(tmp_path):
    assert_identity([make() for make in RANDOM.values()], tmp_path / "net")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RANDOM, *SLOW_RANDOM])
def test_each_random_layer_is_the_identity(tmp_path, name):
    assert_identity([(RANDOM | SLOW_RANDOM)[name]()], tmp_path / "net")


def test_a_random_layer_in_a_subclassed_layer_is_published(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.parts = [layers.RandomFlip(), layers.RandomRotation(0.5), layers.MixUp()]

        def call(self, x, training=False):
            for part in self.parts:
                x = part(x, training=training)
            return x

    assert_identity([Block()], tmp_path / "net")


@pytest.mark.parametrize("size", [4, 6])
def test_a_random_crop_does_in_the_file_what_keras_does_in_inference(tmp_path, size):
    images = np.random.default_rng(0).uniform(size=(3, 8, 12, 3)).astype("float32")
    model = sequential(layers.RandomCrop(size, size), shape=(8, 12, 3))
    folder = publish(model, tmp_path / "net", examples=images, litert=True)
    expected = model(images, training=False)
    np.testing.assert_allclose(saved_model(folder, x=images), expected, atol=1e-6)


def test_a_saved_model_holds_no_training_graph(tmp_path):
    folder = publish(sequential(layers.Dropout(0.5)), tmp_path / "net", examples=IMAGES)
    assert b"StatelessRandom" not in (folder / "saved_model.pb").read_bytes()


def test_random_outputs_are_refused_with_their_layer(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Sampling(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator(1)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)

    model = sequential(layers.Dropout(0.5), Sampling(name="sampling"))
    with pytest.raises(PublishError, match=r"are random \(random numbers: layer net/sampling\)"):
        publish(model, tmp_path / "net", examples=IMAGES)
    assert not (tmp_path / "net").exists()


WORDS = np.array([["the cat"], ["the mat"], ["a dog"]], object)


def text_vectorization():
    layer = layers.TextVectorization(output_sequence_length=3)
    layer.adapt(["the the the", "cat cat", "mat"])
    return layer


def feature_space():
    space = keras.utils.FeatureSpace(
        {"age": "float", "job": keras.utils.FeatureSpace.string_categorical()}, "concat"
    )
    rows = {"age": [1.0, 2.0, 3.0], "job": ["b", "a", "b"]}
    space.adapt(tf.data.Dataset.from_tensor_slices(rows))
    return keras.Model(space.get_inputs(), space.get_encoded_features())


# Padding has the id 0 and an unknown word 1; more frequent words come first.
TOKENS = [[2, 3, 0], [2, 4, 0], [1, 1, 0]]
STRINGS = {
    "text vectorization": (text_vectorization, WORDS, TOKENS),
    "string lookup": (
        lambda: layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot"),
        np.array([["b"], ["?"]]),
        [[0, 0, 1], [1, 0, 0]],
    ),
}


@pytest.mark.parametrize("name", STRINGS)
def test_a_saved_model_takes_strings(tmp_path, capsys, name):
    make, examples, expected = STRINGS[name]
    model = sequential(make(), shape=(1,), dtype="string")
    folder = publish(model, tmp_path / "net", examples=examples)
    line = "LiteRT cannot run this model: its input x is a string, and LiteRT files take numbers."
    assert f"Note: there is no model.tflite. {line}" in capsys.readouterr().err
    assert (
        f"### LiteRT\n\nThere is no `model.tflite`. {line}\n" in (folder / "README.md").read_text()
    )
    assert saved_model(folder, x=examples).tolist() == expected
    loaded = ModelVersion(folder).keras_model()
    assert np.asarray(loaded(tf.constant(examples))).tolist() == expected


OTHER_LOOKUPS = {
    "integers": (lambda: layers.IntegerLookup(vocabulary=[5, 7]), [[5], [6]], "int64", [[1], [0]]),
    "hashing": (lambda: layers.Hashing(1), [["a"], ["b"]], "string", [[0], [0]]),
    "hashed integers": (lambda: layers.Hashing(1), [[5], [6]], "int64", [[0], [0]]),
    "one hot": (lambda: layers.CategoryEncoding(3), [[0], [2]], "int64", [[1, 0, 0], [0, 0, 1]]),
    "bins": (lambda: layers.Discretization([0.0, 1.0]), [[-1.0], [0.5]], "float32", [[0], [1]]),
    "inverse": (
        lambda: layers.StringLookup(vocabulary=["a"], invert=True),
        [[1], [0]],
        "int64",
        [[b"a"], [b"[UNK]"]],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER_LOOKUPS)
def test_other_lookups_are_published(tmp_path, name):
    make, rows, dtype, expected = OTHER_LOOKUPS[name]
    examples = np.array(rows, object if dtype == "string" else dtype)
    model = sequential(make(), shape=(1,), dtype=dtype)
    folder = publish(model, tmp_path / "net", examples=examples)
    assert saved_model(folder, x=examples).tolist() == expected


@pytest.mark.slow
def test_a_feature_space_is_published(tmp_path):
    examples = {"age": np.array([[1.0], [2.0]]), "job": np.array([["b"], ["?"]])}
    folder = publish(feature_space(), tmp_path / "net", examples=examples)
    outputs = saved_model(folder, age=np.float32([[1], [2]]), job=np.array([["b"], ["?"]]))
    # The age, then one of three jobs: unknown, b, a.
    assert outputs.tolist() == [[1, 0, 1, 0], [2, 1, 0, 0]]


@pytest.fixture(scope="module")
def pooled():
    model = sequential(layers.MaxPooling3D(), layers.MaxPooling3D(), shape=(4, 4, 4, 1))
    return model, np.random.default_rng(0).normal(size=(2, 4, 4, 4, 1)).astype("float32")


REASON = "LiteRT cannot run this model: it has no built-in op MaxPool3D (layer net/max_pooling3d"


@pytest.fixture(scope="module")
def without_litert(pooled, tmp_path_factory):
    model, examples = pooled
    directory = tmp_path_factory.mktemp("without LiteRT") / "net"
    return api.publish(model, directory, examples=examples)


def test_a_model_that_litert_cannot_run_is_published_without_it(pooled, without_litert):
    _, examples = pooled
    folder = without_litert.folder
    assert {path.name for path in folder.glob("model*")} == {"model.keras"}
    expected = examples.max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_array_equal(saved_model(folder, x=examples), expected)
    assert "litert" not in json.loads((folder / "assets.extra" / "examples.json").read_text())
    card = (folder / "README.md").read_text()
    assert f"There is no `model.tflite`. {REASON}" in card
    # Neither the table of files nor the tags promise a LiteRT file.
    assert "| `model.tflite` |" not in card
    assert "tags: [tensorflow]\n" in card


def test_a_version_without_litert_is_verified_and_called(without_litert):
    lines = list(check(without_litert.folder))
    assert any(line.startswith("SavedModel, signature serving_default: matches") for line in lines)
    assert not any("tflite" in line for line in lines)
    (prediction,) = without_litert.predict([np.ones((4, 4, 4, 1))])
    assert list(prediction.values()) == [[[[[1.0]]]]]
    with pytest.raises(PublishError, match=r"this version has no LiteRT file\. Its README"):
        without_litert.litert()


def test_requiring_litert_publishes_nothing(pooled, tmp_path):
    model, examples = pooled
    with pytest.raises(PublishError) as caught:
        publish(model, tmp_path / "net", examples=examples, litert=True)
    assert caught.value.message.startswith(REASON)
    assert "litert=False" in caught.value.hint
    assert not (tmp_path / "net").exists()


def test_litert_can_be_left_out(tmp_path, capsys):
    model = sequential(layers.Flatten())
    folder = publish(model, tmp_path / "net", examples=IMAGES, litert=False)
    assert not list(folder.glob("*.tflite"))
    assert "There is no `model.tflite`. It was not requested." in (folder / "README.md").read_text()
    assert capsys.readouterr().err == ""


def test_an_unknown_choice_of_litert_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="litert must be 'auto', True or False, got 'yes'"):
        publish(sequential(layers.Flatten()), tmp_path / "net", examples=IMAGES, litert="yes")


def test_an_int8_model_is_published(tmp_path):
    keras.utils.set_random_seed(0)
    model = sequential(layers.Dense(4, name="y"), shape=(8,))
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    expected = model(x)
    model.quantize("int8")
    folder = publish(model, tmp_path / "net", examples=x)
    # 8 products of numbers in steps of 1/127 of their largest.
    np.testing.assert_allclose(saved_model(folder, x=x), expected, atol=0.1)


FAMILIES = ("MobileNetV3Small", "EfficientNetB0", "ResNet50V2", "DenseNet121", "ConvNeXtTiny")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_application_of_keras_is_published_with_litert(tmp_path, family):
    keras.utils.set_random_seed(0)
    make = getattr(keras.applications, family)
    model = make(weights=None, input_shape=(64, 64, 3), classes=10)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    folder = publish(model, tmp_path / "net", examples=images, litert=True)
    np.testing.assert_allclose(saved_model(folder, input=images), model(images), atol=1e-4)


def attention():
    ids = keras.Input((None,), name="x", dtype="int32")
    embedded = layers.Embedding(10, 8, mask_zero=True)(ids)
    attended = layers.MultiHeadAttention(2, 4)(embedded, embedded)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(embedded + attended))
    return keras.Model(ids, layers.Dense(2)(pooled))


def conv_lstm():
    return sequential(layers.ConvLSTM2D(2, 3), layers.Flatten(), shape=(None, 6, 6, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "examples"),
    [
        (attention, np.int32([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])),
        (conv_lstm, np.random.default_rng(0).normal(size=(2, 3, 6, 6, 1)).astype("float32")),
    ],
)
def test_masks_and_recurrent_convolutions_are_published_with_litert(tmp_path, make, examples):
    model = make()
    folder = publish(model, tmp_path / "net", examples=examples, litert=True)
    np.testing.assert_allclose(saved_model(folder, x=examples), model(examples), atol=1e-5)


def test_a_litert_file_with_other_outputs_is_left_out(tmp_path, capsys, monkeypatch):
    spec, example = tf.TensorSpec([None, 3], tf.float32, name="x"), (np.zeros((1, 3), "f"),)
    signature, larger = (
        Signature(lambda x, change=change: {"y": x + change}, [spec], [example])
        for change in (0.0, 1.0)
    )
    content = convert(larger)
    monkeypatch.setattr(litert_files, "convert_each", lambda *_: iter([content]))
    model = sequential(layers.Flatten(), shape=(3,))
    folder = publish(model, tmp_path / "net", Exports({"serving_default": signature}, signature))
    assert not list(folder.glob("*.tflite"))
    assert "LiteRT gives other outputs than the model: y differs" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_other_quantized_models_are_published(tmp_path, mode):
    model = sequential(layers.Dense(4), shape=(8,))
    model.quantize(mode)
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    folder = publish(model, tmp_path / "net", examples=x)
    np.testing.assert_allclose(saved_model(folder, x=x), model(x), atol=1e-4)
