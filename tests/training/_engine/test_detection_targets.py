import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.layers import BoxCoder, BoxMatcher
from dlrecipes.training._engine.detection_targets import TargetSampler, objects_of

BOX = [0.0, 0.0, 10.0, 10.0]


def sampler(size=8, fraction=0.5, seed=0, stream=0, **options):
    return TargetSampler(BoxMatcher(**options), BoxCoder(), size, fraction, seed, stream)


def crowd(positives, negatives, images=3):
    """Returns boxes of which the first ones equal the only object, of class 4."""
    far = [[20.0 + n, 20.0, 30.0 + n, 30.0] for n in range(negatives)]
    boxes = np.array([[BOX] * positives + far] * images, "float32")
    targets = {"boxes": np.array([[BOX]] * images, "float32"), "classes": [[4]] * images}
    return tf.constant(boxes), objects_of(targets)


def sampled(positives, negatives, step=0, **options):
    boxes, objects = crowd(positives, negatives)
    return sampler(**options)(boxes, objects, tf.constant(step))


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    # At most half of eight are positive; negatives fill up, and the rest is not sampled.
    [(20, 20, (4, 4, 0)), (2, 20, (2, 6, 0)), (20, 1, (4, 1, 3)), (0, 20, (0, 8, 0))],
)
def test_positives_are_limited_and_negatives_fill_the_sample(positives, negatives, expected):
    targets = sampled(positives, negatives)
    for labels in targets.labels.numpy():
        assert tuple((labels == label).sum() for label in (1, 0, -1)) == expected
    fraction = expected[0] / (expected[0] + expected[1])
    np.testing.assert_allclose(targets.positives, [fraction] * 3)


def test_no_box_is_sampled_twice_and_labels_belong_to_the_boxes():
    targets = sampled(20, 20)
    for indices, labels in zip(targets.indices.numpy(), targets.labels.numpy(), strict=True):
        assert len(set(indices)) == 8
        assert (labels == (indices < 20)).all()
    assert (targets.classes.numpy() == np.where(targets.labels == 1, 5, 0)).all()


def test_fewer_boxes_than_the_sample_are_all_sampled():
    targets = sampled(1, 2, size=100, fraction=1.0)
    assert targets.labels.numpy().tolist() == [[1, 0, 0]] * 3


def test_samples_depend_on_seed_step_and_stream_alone():
    first, again = sampled(20, 20, step=3).indices, sampled(20, 20, step=3).indices
    np.testing.assert_array_equal(first, again)
    others = [sampled(20, 20, 4), sampled(20, 20, 3, seed=1), sampled(20, 20, 3, stream=1)]
    assert all((other.indices.numpy() != first.numpy()).any() for other in others)
    # Images of a batch have different samples.
    assert (first[0].numpy() != first[1].numpy()).any()


def test_every_box_is_sampled_about_equally_often():
    boxes, objects = crowd(20, 20, images=600)
    indices = sampler()(boxes, objects, tf.constant(0)).indices.numpy()
    counts = np.bincount(indices.ravel(), minlength=40)
    # 600 samples of 4 of 20: a mean of 120 with a deviation of 10.
    assert counts.min() > 120 - 5 * 10
    assert counts.max() < 120 + 5 * 10


def test_padding_and_boxes_without_area_are_never_sampled():
    boxes = tf.constant([[[0.0] * 4, BOX, [20.0, 20.0, 20.0, 30.0]]])
    padded = {"boxes": [[[1.0, 1.0, 9.0, 9.0], BOX]], "classes": [[-1, -1]]}
    targets = sampler()(boxes, objects_of(padded), tf.constant(0))
    # Only the second box has an area, and no object is real.
    assert targets.labels.numpy().tolist() == [[0, -1, -1]]
    assert targets.indices.numpy()[0, 0] == 1


def test_images_without_any_column_of_objects_have_negatives_only():
    nothing = {"boxes": np.zeros((1, 0, 4), "float32"), "classes": np.zeros((1, 0), "int32")}
    targets = sampler()(tf.constant([[BOX]]), objects_of(nothing), tf.constant(0))
    assert targets.labels.numpy().tolist() == [[0]]


def test_boxes_of_ignored_objects_are_neither_positive_nor_negative():
    boxes, _ = crowd(3, 2, images=1)
    targets = {"boxes": [[BOX]], "classes": [[4]], "ignored": [[True]]}
    labels = sampler()(boxes, objects_of(targets), tf.constant(0)).labels
    assert labels.numpy().tolist() == [[0, 0, -1, -1, -1]]


def test_deltas_of_positives_are_the_encoded_objects():
    boxes = tf.constant([[[1.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]]])
    objects = objects_of({"boxes": [[BOX]], "classes": [[0]]})
    targets = sampler()(boxes, objects, tf.constant(0))
    # The box is 9 wide with its centre half a pixel to the right of the object's.
    expected = [-0.5 / 9, 0, np.log(10 / 9), 0]
    np.testing.assert_allclose(targets.deltas[0, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(targets.deltas[0, 1], np.zeros(4))
