"""Values that a trainer cannot learn from are refused before training, with what to do."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes import training
from dlrecipes.data.text import TextEncoder
from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.training._engine import values

RNG = np.random.default_rng(0)
UNIT = RNG.uniform(-1, 1, (4, 4, 4, 1)).astype("float32")
BYTES = np.round((UNIT + 1) * 127.5)


def generator(activation, after=()):
    return keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1), keras.layers.Activation(activation)]
        + [keras.layers.Reshape((4, 4, 1)) for _ in after]
    )


def critic(*names):
    inputs = [keras.Input((4, 4, 1), name=name) for name in names]
    joined = keras.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    scores = keras.layers.Dense(1)(keras.layers.Flatten()(joined))
    given = dict(zip(names, inputs, strict=True)) if len(inputs) > 1 else inputs[0]
    return keras.Model(given, scores)


def gan(activation):
    noise = keras.Input((2,))
    pixels = keras.layers.Dense(16)(noise)
    image = keras.layers.Activation(activation)(keras.layers.Reshape((4, 4, 1))(pixels))
    return training.GAN(keras.Model(noise, image), critic("image"))


def pix2pix(activation):
    return training.Pix2Pix(generator(activation), critic("condition", "image"))


def cyclegan(activation):
    networks = [generator(activation) for _ in "ab"] + [critic("image") for _ in "ab"]
    return training.CycleGAN(*networks, pool_size=0)


def fit(model, *data, as_dataset=False, **kwargs):
    model.compile()
    if as_dataset:
        given = data if len(data) > 1 else data[0]
        return model.fit(tf.data.Dataset.from_tensor_slices(given).batch(2), verbose=0)
    return model.fit(*data, verbose=0, **kwargs)


SCALE = r"range of the generator's tanh, got 0 to 255. Scale them: x / 127.5 - 1\.$"


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize(
    ("make", "data", "message"),
    [
        (gan, (BYTES,), r"Examples must be in \[-1, 1\], the " + SCALE),
        (gan, (BYTES.astype("uint8"),), r"Examples must be floats in \[-1, 1\], .*, not uint8"),
        (pix2pix, (UNIT, BYTES), r"Targets must be in \[-1, 1\], the " + SCALE),
        (pix2pix, (BYTES, UNIT), r"Inputs must be in \[-1, 1\], the " + SCALE),
        (cyclegan, (BYTES, UNIT), r"Images of domain A must be in \[-1, 1\], the " + SCALE),
        (cyclegan, (UNIT, BYTES), r"Images of domain B must be in \[-1, 1\], the " + SCALE),
    ],
)
def test_images_outside_of_the_generators_range_are_refused(make, data, message, as_dataset):
    # The brightest pixel may not be in the first batch: make each image cover the range.
    data = [np.array(part) for part in data]
    for part in data:
        part[:, 0, 0], part[:, 1, 1] = part.min(), part.max()
    limits = message.replace("got 0 to 255", f"got {BYTES.min():g} to {BYTES.max():g}")
    model = make("tanh")
    before = [np.array(weight) for weight in model.get_weights()]
    with pytest.raises(ValueError, match=limits) as raised:
        fit(model, *data, as_dataset=as_dataset)
    assert "\n" not in str(raised.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("activation", "images"),
    [("tanh", UNIT * 1.4), ("tanh", (UNIT + 1) / 2), ("linear", BYTES), ("relu", BYTES)],
)
def test_images_that_the_generator_can_reach_are_accepted(activation, images):
    gan(activation).check_values(images)


def test_images_of_a_sigmoid_generator_must_be_between_0_and_1():
    with pytest.raises(ValueError, match=r"in \[0, 1\], the range of .* sigmoid.*x / 255"):
        gan("sigmoid").check_values(BYTES)


def test_the_output_activation_is_found_through_layers_that_only_reshape_or_cast():
    inner = generator("tanh", after=[1, 2])
    x = keras.Input((4, 4, 1))
    outer = keras.Model(x, keras.layers.Activation("linear", dtype="float32")(inner(x)))
    assert values.output_activation(outer) == "tanh"
    assert values.output_activation(keras.Model(x, keras.ops.tanh(x))) == "tanh"
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh")])
    assert values.output_activation(dense) == "tanh"
    dense.add(keras.layers.Dense(3))
    assert values.output_activation(dense) is None


def classifier(inputs=2):
    layers = [keras.Input((inputs,)), keras.layers.Dense(3, "softmax")]
    model = training.SupervisedTrainer(keras.Sequential(layers))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def tokens():
    x = keras.Input((None,), dtype="int32", name="words")
    hidden = keras.layers.Embedding(5, 2)(x)
    model = training.SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(hidden)))
    model.compile("sgd", "mse")
    return model


X = np.zeros((4, 2), "float32")
IDS = np.array([0, 1, 2, 2])


@pytest.mark.parametrize(
    ("make", "x", "y", "message"),
    [
        (classifier, np.where(np.eye(4, 2) > 0, np.nan, X), IDS, "x contains NaN. Remove or"),
        (classifier, np.where(np.eye(4, 2) > 0, np.inf, X), IDS, "x contains infinity"),
        (classifier, X, IDS + 1, "Targets must be class ids from 0 to 2, got 1 to 3"),
        (classifier, X, IDS - 1, "Targets must be class ids from 0 to 2, got -1 to 1"),
        (tokens, np.full((4, 2), 5), X[..., None], "words must be ids from 0 to 4, .* got 5 to 5"),
        (tokens, np.ones((4, 2), int), X[..., None] + np.nan, "y contains NaN"),
    ],
)
def test_values_that_networks_or_losses_cannot_take_are_refused(make, x, y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("categorical_focal_crossentropy", np.full((4, 3), 7.0), r"in \[0, 1\] for categorical_f"),
        ("binary_focal_crossentropy", np.full((4, 3), 7.0), r"in \[0, 1\] for binary_focal"),
        ("poisson", np.full((4, 3), -1.0), "at least 0 for poisson, got -1 to -1"),
        (["sparse_categorical_crossentropy"], IDS + 1, "class ids from 0 to 2, got 1 to 3"),
        ("sparse_categorical_crossentropy", np.eye(4, 3), "not one number for each class. Use"),
    ],
)
def test_targets_outside_of_the_range_of_a_loss_are_refused(loss, y, message):
    model = classifier()
    model.compile("sgd", loss)
    for train in (lambda: model.fit(X, y, verbose=0), lambda: model.train_on_batch(X, y)):
        with pytest.raises(ValueError, match=message):
            train()


def test_arrays_without_examples_are_refused():
    with pytest.raises(ValueError, match=r"^x has no examples\.$"):
        classifier().fit(X[:0], IDS[:0], verbose=0)


def test_black_and_white_images_of_a_tanh_generator_are_refused():
    with pytest.raises(ValueError, match=r"floats in .* not bool"):
        fit(gan("tanh"), BYTES > 99)


@pytest.mark.parametrize(
    ("labels", "problem"), [([0, 1, 2, 3], "no label occurs twice"), ([5] * 4, "the same label")]
)
def test_labels_that_form_no_triplet_are_warned_about(labels, problem):
    x = keras.Input((2,))
    model = training.TripletEmbedding(keras.Model(x, keras.layers.Dense(2)(x)))
    with pytest.warns(UserWarning, match=rf"no triplets, because .*{problem}"):
        fit(model, X, np.array(labels))


def test_validation_data_are_refused_before_training():
    model = classifier()
    with pytest.raises(ValueError, match="class ids from 0 to 2, got 3 to 3"):
        model.fit(X, IDS, validation_data=(X, np.full(4, 3)), verbose=0)
    assert model.optimizer.iterations == 0


def test_targets_without_weight_are_not_checked():
    weights = np.array([1, 1, 1, 0])
    classifier().check_values(X, np.array([0, 1, 2, -1]), weights)


def numbers(count=8):
    """Returns a data set of the numbers 0, 1, ..., one example each."""
    return tf.data.Dataset.range(count).map(lambda k: (tf.cast([k], tf.float32), [0.0]))


class Recorder(training.SupervisedTrainer):
    """Keeps the inputs that it is trained on."""

    def train_step(self, data):
        tf.py_function(lambda x: self.seen.extend(x.numpy().ravel()), [data[0]], [])
        return super().train_step(data)


def recorded(x):
    inputs = keras.Input((1,))
    model = Recorder(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    model.seen = []
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(x, verbose=0, shuffle=False)
    return model.seen


def stream(values=range(3)):
    for value in values:
        yield np.full((1, 1), value, "float32"), np.zeros((1, 1), "float32")


def once():
    """Returns a data set that can be read a single time."""
    batches, spec = stream(), tf.TensorSpec([None, 1])
    return tf.data.Dataset.from_generator(lambda: batches, output_signature=(spec, spec))


def test_the_check_takes_no_batch_from_a_stream_and_does_not_change_its_order():
    assert recorded(stream()) == [0, 1, 2]
    assert recorded(once()) == [0, 1, 2]
    shuffled = [numbers().shuffle(8, seed=3).batch(2) for _ in "ab"]
    assert recorded(shuffled[0]) == [float(x) for batch, _ in shuffled[1] for x in batch[:, 0]]


def test_the_check_does_not_read_a_sequence_more_often_than_keras_does():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            calls.append(index)
            return next(stream([index]))

    calls, counts = [], []
    plain = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    for model in (plain, training.SupervisedTrainer(keras.models.clone_model(plain))):
        calls.clear()
        model.compile("sgd", "mse")
        model.fit(Batches(), verbose=0, shuffle=False)
        counts.append(list(calls))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", ["data set", "generator", "sequence", "ragged", "replicas"])
def test_a_stream_is_refused_at_its_first_batch_before_a_step(kind):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return next(stream([np.nan]))

    inputs = keras.Input((1,) if kind != "ragged" else (None,))
    hidden = inputs if kind != "ragged" else keras.ops.sum(inputs, axis=1, keepdims=True)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope() if kind == "replicas" else contextlib.nullcontext():
        model = training.SupervisedTrainer(keras.Model(inputs, keras.layers.Dense(1)(hidden)))
        model.compile("sgd", "mse")
    bad = tf.data.Dataset.from_tensor_slices(next(stream([np.nan]))).batch(1)
    rows = tf.ragged.constant([[1.0, np.nan], [2.0]])
    ragged = tf.data.Dataset.from_tensors((rows, tf.zeros([2, 1])))
    data = {"data set": bad, "replicas": bad, "ragged": ragged, "sequence": Batches()}
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^x contains NaN\. Remove or replace these values\.$"):
        model.fit(data.get(kind, stream([np.nan])), verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_arrays_are_checked_once_per_fit_and_not_after_each_epoch(monkeypatch):
    model, calls = classifier(), []
    monkeypatch.setattr(type(model), "check_values", lambda self, *data: calls.append(len(data)))
    model.fit(X, IDS, validation_data=(X, IDS), epochs=3, verbose=0)
    assert calls == [3, 3]  # The training data and the validation data.


def test_bernoulli_units_refuse_8_bit_images_before_training():
    machine = RestrictedBoltzmannMachine(3)
    machine.build((None, 4))
    model = training.ContrastiveDivergence(machine)
    with pytest.raises(ValueError, match=r"in \[0, 1\] for Bernoulli .* got 0 to 255. Divide"):
        fit(model, np.array([[0, 255, 3, 9]], "uint8"))


def test_a_tagger_refuses_ids_outside_of_its_vocabularies():
    encoder = TextEncoder.fit([["to", "Rome"], ["from", "Rome"]])
    words = keras.Input((None,), dtype="int32", name="words")
    scores = keras.layers.Dense(2)(keras.layers.Embedding(encoder.num_words, 2)(words))
    model = training.SequenceTagger(
        keras.Model({"words": words}, {"tags": scores}), encoder, ["O", "B-to"]
    )
    good = np.ones((1, 2), "int32")
    model.check_values({"words": good}, {"tags": good * 2})  # An unknown tag.
    with pytest.raises(ValueError, match=r"y\['tags'\] must be ids from 0 to 1, or 2 if unknown"):
        model.check_values({"words": good}, {"tags": good * 3})
    with pytest.raises(ValueError, match="words must be ids from 0 to"):
        model.check_values({"words": good * 99}, {"tags": good})
