"""Weights of one model in another: by place and shape, by the names of rows, per member."""

import keras
import numpy as np
import pytest

from dlrecipes.layers import LinearChainCRF
from dlrecipes.models import ensemble, small_cnn, tagger
from dlrecipes.recipe.transfer import NamedRows, Transfer, copy_weights, input_shapes, output_layers
from dlrecipes.training import GAN, ImageClassifier

SHAPE = (24, 24, 1)


def chain(units=4, classes=3, inputs=2):
    """A network whose hidden layer has the name that Keras chooses."""
    x = keras.Input((inputs,), name="points")
    hidden = keras.layers.Dense(units, "relu")(x)
    return keras.Model(x, keras.layers.Dense(classes, name="classes")(hidden))


def cnn(classes=2, name="cnn_1", width=0.1):
    return small_cnn(classes, SHAPE, width=width, name=name)


def arrays(model):
    return [np.array(weight) for weight in model.weights]


def assert_same(model, source, count):
    for ours, theirs in zip(arrays(model)[:count], arrays(source)[:count], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_layers_that_keras_named_are_matched_by_class_and_order():
    source, model = chain(), chain()
    assert source.layers[1].name != model.layers[1].name
    transfer = copy_weights(model, source)
    assert (transfer.taken, transfer.total, transfer.new) == (4, 4, ())
    assert_same(model, source, 4)


def test_another_number_of_classes_gets_a_new_head():
    source, model = chain(classes=3), chain(classes=5)
    before = arrays(model)
    transfer = copy_weights(model, source)
    assert str(transfer) == "2 of 4 weights; new: classes"
    # The head has 4 * 5 + 5 of 37 elements, and does not count.
    assert transfer.fraction == 1
    assert transfer.useful
    assert_same(model, source, 2)
    for ours, untouched in zip(arrays(model)[2:], before[2:], strict=True):
        np.testing.assert_array_equal(ours, untouched)


def test_a_network_of_another_width_gives_nothing_useful():
    transfer = copy_weights(chain(units=8), chain(units=4))
    assert not transfer.useful
    assert (transfer.taken, transfer.fraction) == (1, 0)  # The bias of the same classes.


def test_rows_of_classes_are_copied_by_name():
    source, model = chain(classes=3), chain(classes=2)
    fresh = arrays(model)[2]
    names = {"classes": ("seven", "cat")}, {"classes": ("cat", "dog", "owl")}
    transfer = copy_weights(model, source, *names)
    assert transfer.rows == {"classes": NamedRows(("cat",), ("seven",))}
    assert str(transfer) == ("4 of 4 weights; by name: classes (1 of 2; taken: cat; new: seven)")
    np.testing.assert_array_equal(arrays(model)[2][:, 1], arrays(source)[2][:, 0])
    np.testing.assert_array_equal(arrays(model)[2][:, 0], fresh[:, 0])


def test_classes_of_the_same_number_but_other_names_get_a_new_head():
    names = {"classes": ("x", "o")}, {"classes": ("cat", "dog")}
    transfer = copy_weights(chain(classes=2), chain(classes=2), *names)
    assert transfer.new == ("classes",)


def test_classes_in_another_order_are_reordered_even_where_the_kernel_is_square():
    source, model = chain(units=2, classes=2), chain(units=2, classes=2)
    copy_weights(model, source, {"classes": ("b", "a")}, {"classes": ("a", "b")})
    np.testing.assert_array_equal(arrays(model)[2], arrays(source)[2][:, ::-1])


def test_several_rows_of_a_name_are_matched_in_their_order():
    source, model = chain(classes=6), chain(classes=4)
    fresh = arrays(model)[2]
    names = {"classes": ("dog", "dog", "cat", "cat")}
    theirs = {"classes": ("cat", "cat", "owl", "owl", "dog", "dog")}
    assert copy_weights(model, source, names, theirs).rows["classes"].taken == ("dog", "cat")
    np.testing.assert_array_equal(arrays(model)[2], arrays(source)[2][:, [4, 5, 0, 1]])
    assert not np.array_equal(arrays(model)[2], fresh)


def test_a_row_without_a_name_is_taken_and_not_counted():
    source, model = chain(classes=2), chain(classes=3)
    names = {"classes": ("", "cat", "dog")}
    rows = copy_weights(model, source, names, {"classes": ("", "owl")}).rows["classes"]
    assert str(rows) == "0 of 2; new: cat, dog"
    np.testing.assert_array_equal(arrays(model)[2][:, 0], arrays(source)[2][:, 0])


def test_layers_with_the_same_names_are_reported_together_and_long_lists_are_not_spelled_out():
    rows = NamedRows(tuple(f"word {number}" for number in range(21)), ("x",))
    transfer = Transfer(4, 4, (), {"logits": rows, "deltas": rows})
    assert str(transfer) == "4 of 4 weights; by name: logits, deltas (21 of 22; new: x)"


def test_embeddings_are_copied_by_word_and_transitions_by_both_tags():
    def words(count, tags):
        x = keras.Input((None,), dtype="int32")
        # As many units as words: only the first axis has names.
        scores = keras.layers.Embedding(count, 3, name="words")(x)
        crf = LinearChainCRF(tags, name="crf")
        crf.build((None, None, tags))
        model = keras.Model(x, scores)
        model.crf = crf
        return model

    source, model = words(3, 2), words(3, 3)
    rng = np.random.default_rng(0)
    for weight in source.weights:
        weight.assign(rng.normal(size=weight.shape))
    names = {"words": ("a", "b", "c"), "crf": ("O", "B", "I")}
    transfer = copy_weights(model, source, names, {"words": ("b", "x", "a"), "crf": ("I", "O")})
    assert transfer.rows["words"] == NamedRows(("a", "b"), ("c",))
    assert transfer.rows["crf"] == NamedRows(("O", "I"), ("B",))
    table, other = (np.array(m.get_layer("words").embeddings) for m in (model, source))
    np.testing.assert_array_equal(table[[0, 1]], other[[2, 0]])
    transitions, theirs = np.array(model.crf.transitions), np.array(source.crf.transitions)
    np.testing.assert_array_equal(transitions[np.ix_([0, 2], [0, 2])], theirs[::-1, ::-1])


@pytest.mark.parametrize(
    ("count", "theirs", "note"),
    [
        (3, 3, ""),
        (1, 3, ""),
        (3, 1, "; the 3 members begin with the same network"),
        (3, 2, "; 3 members begin with 2 in turn"),
    ],
)
def test_each_member_takes_the_weights_of_a_member(count, theirs, note):
    def build(number, letters):
        members = [cnn(name=f"{letters}_{k + 1}") for k in range(number)]
        network = members[0] if number == 1 else ensemble(members)
        x = keras.Input(SHAPE)
        return ImageClassifier(keras.Model(x, network(x)), ["a", "b"]), members

    source, sources = build(theirs, "cnn")
    model, members = build(count, "cnn")
    transfer = copy_weights(model, source)
    assert transfer.taken == transfer.total == len(model.weights)
    assert str(transfer) == f"{transfer.total} of {transfer.total} weights{note}"
    for number, member in enumerate(members):
        assert_same(member, sources[number % theirs], len(member.weights))


def test_the_head_of_an_ensemble_is_found():
    members = [cnn(name=f"cnn_{k}") for k in range(2)]
    assert output_layers(ImageClassifier(ensemble(members), ["a", "b"])) == ["predictions"]
    assert output_layers(tagger(5, 3, units=2)) == ["tag_scores"]


def test_networks_of_a_trainer_are_not_confused():
    def gan():
        noise, image = keras.Input((3,)), keras.Input((3,))
        generator = keras.Model(noise, keras.layers.Dense(3, name="x")(noise), name="generator")
        scores = keras.layers.Dense(1)(keras.layers.Dense(3, name="x")(image))
        return GAN(generator, keras.Model(image, scores, name="discriminator"))

    source, model = gan(), gan()
    assert copy_weights(model, source).new == ()
    for ours, theirs in (
        (model.generator, source.generator),
        (model.discriminator, source.discriminator),
    ):
        assert_same(ours, theirs, len(ours.weights))
    assert list(input_shapes(model).values()) == [(3,), (3,)]


def test_tables_that_a_trainer_computes_from_its_data_are_kept():
    def model():
        trainer = ImageClassifier(chain(classes=2), ["a", "b"])
        trainer.table = trainer.add_weight((2,), "random_normal", trainable=False, name="table")
        return trainer

    source, own = model(), model()
    before = np.array(own.table)
    transfer = copy_weights(own, source)
    assert transfer.total == 4
    np.testing.assert_array_equal(np.array(own.table), before)
