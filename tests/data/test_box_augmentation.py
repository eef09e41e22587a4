"""Boxes follow the pixels of their objects through every random change."""

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.box_augmentation import BoxAugmentation

SIZE, COUNT = 64, 6
MOVES = {
    "flip": {"flip": True},
    "scale": {"flip": False, "scale": 0.8},
    "shift": {"flip": False, "shift": 0.4},
    "all": {"flip": True, "scale": 0.5, "shift": 0.2},
}


def rectangles():
    """Returns a batch with a white rectangle in each channel on black, and their boxes.

    The boxes of channels 0, 1 and 2 are of classes 10, 11 and 12; the one of class 11 is ignored.
    """
    rng = np.random.default_rng(3)
    images = np.zeros((COUNT, SIZE, SIZE, 3), "float32")
    boxes = np.zeros((COUNT, 4, 4), "float32")
    for image, own in zip(images, boxes, strict=True):
        for channel in range(3):
            left, top = rng.integers(2, 40, 2)
            right, bottom = left + rng.integers(8, 22), top + rng.integers(8, 22)
            image[top:bottom, left:right, channel] = 255
            own[channel] = left, top, right, bottom
    classes = np.tile(np.array([10, 11, 12, -1], "int32"), (COUNT, 1))
    return tf.constant(images), {
        "boxes": tf.constant(boxes),
        "classes": tf.constant(classes),
        "ignored": tf.constant(classes == 11),
    }


def batches(numbers=range(8), data=None, **settings):
    """Returns what each batch number makes of the same data, as arrays."""
    images, targets = data or rectangles()
    augment = tf.function(BoxAugmentation(SIZE, seed=5, **settings))
    results = [augment(images, targets, tf.constant(number)) for number in numbers]
    return [tf.nest.map_structure(np.asarray, result) for result in results]


def extent(channel):
    """Returns the box of the white pixels: those beyond the image are grey."""
    rows, columns = np.nonzero(channel > 140)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("name", MOVES)
def test_boxes_are_those_of_the_pixels_within_a_pixel(name):
    checked, changed = 0, 0
    original = rectangles()[1]["boxes"].numpy()
    for images, targets in batches(min_visibility=0.0, **MOVES[name]):
        for image, boxes, classes, own in zip(images, *targets_of(targets), original, strict=True):
            for box, label in zip(boxes, classes, strict=True):
                if label >= 0:
                    np.testing.assert_allclose(extent(image[..., label - 10]), box, atol=1)
                    checked += 1
                    changed += np.abs(box - own[label - 10]).max() > 2
    assert checked > 100 and changed > 0.4 * checked


def targets_of(targets):
    return targets["boxes"], targets["classes"]


def test_a_box_is_dropped_once_less_of_it_is_left_than_the_minimum():
    """With shifts alone, the part that is left follows from the white pixels."""
    areas = np.prod(np.diff(rectangles()[1]["boxes"].numpy().reshape(COUNT, 4, 2, 2), axis=2), -1)
    kept, dropped = [], []
    for images, targets in batches(flip=False, shift=0.7, min_visibility=0.3):
        for image, classes, own in zip(images, targets["classes"], areas[..., 0], strict=True):
            parts = (image > 140).sum(axis=(0, 1)) / own[:3]
            for channel, part in enumerate(parts):
                (kept if 10 + channel in classes else dropped).append(part)
    # Shifts by parts of a pixel change the number of white pixels.
    assert min(kept) > 0.22 and max(dropped) < 0.38
    assert min(kept) < 0.5 and len(dropped) > 10
    every = batches(flip=False, shift=0.3, min_visibility=1.0)
    edges = np.concatenate([y["boxes"][y["classes"] >= 0] for _, y in every])
    # A clipped box lacks a part of its area.
    assert edges.min() > 0 and edges.max() < SIZE


def test_boxes_that_are_dropped_leave_padding_at_the_end_and_no_flags():
    for _, targets in batches(flip=True, scale=1.0, shift=0.5):
        padding = targets["classes"] < 0
        assert (np.diff(padding.astype(int), axis=1) >= 0).all() and padding[:, -1].all()
        assert not targets["boxes"][padding].any()
        # Ignored boxes move along: class 11 is ignored, and no other one.
        np.testing.assert_array_equal(targets["ignored"], targets["classes"] == 11)
    assert any(3 in (y["classes"] < 0).sum(axis=1) for _, y in batches(flip=False, shift=0.7))


def test_flipping_twice_is_the_identity():
    images, targets = rectangles()
    augment = BoxAugmentation(SIZE, flip=True, seed=1)
    once, moved = augment(images, targets, 7)
    mirrored = (once.numpy() == images.numpy()[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 0 < mirrored.sum() < COUNT
    assert (once.numpy()[~mirrored] == images.numpy()[~mirrored]).all()
    again, back = augment(once, moved, 7)
    np.testing.assert_array_equal(again, images)
    for name in targets:
        np.testing.assert_array_equal(back[name], targets[name])


def test_without_any_change_images_and_boxes_are_the_same():
    data = rectangles()
    for images, targets in (BoxAugmentation(SIZE, flip=False)(*data, 3),
                            *batches([3], flip=False, scale=1e-9, min_visibility=1.0)):  # fmt: skip
        np.testing.assert_allclose(images, data[0], atol=1e-2)
        np.testing.assert_allclose(targets["boxes"], data[1]["boxes"], atol=1e-4)
        np.testing.assert_array_equal(targets["classes"], data[1]["classes"])


def test_objects_become_larger_and_smaller_within_the_limits():
    factors = []
    original = rectangles()[1]["boxes"].numpy()
    for _, targets in batches(range(20), flip=False, scale=0.6, min_visibility=1.0):
        for boxes, classes, own in zip(*targets_of(targets), original, strict=True):
            for box, label in zip(boxes[classes >= 0], classes[classes >= 0], strict=True):
                first = own[label - 10]
                factors.append((box[2] - box[0]) / (first[2] - first[0]))
    assert 1 / 1.6 < min(factors) < 0.75 and 1.35 < max(factors) < 1.6
    # As many objects become smaller as larger, except those that are then cut.
    assert 0.3 < np.mean(np.array(factors) > 1) < 0.6


def four():
    """Returns four images: white rectangles, each image with its own second channel."""
    rng = np.random.default_rng(0)
    images = np.zeros((4, SIZE, SIZE, 3), "float32")
    boxes = np.zeros((4, 2, 4), "float32")
    for number, image in enumerate(images):
        image[..., 1] = 60 * number
        for place in range(2):
            left, top = rng.integers(2, 16, 2) + 30 * place
            image[top : top + 14, left : left + 12, 0] = 255
            boxes[number, place] = left, top, left + 12, top + 14
    classes = np.repeat(np.arange(4, dtype="int32")[:, None], 2, axis=1)
    ignored = classes == 2
    data = {"boxes": boxes, "classes": classes, "ignored": ignored}
    return tf.constant(images), {name: tf.constant(values) for name, values in data.items()}


def test_a_mosaic_keeps_the_boxes_of_all_four_images():
    complete = 0
    for images, targets in batches(range(6), four(), mosaic=1.0, min_visibility=0.0):
        assert targets["boxes"].shape == (4, 8, 4)
        for image, boxes, classes in zip(images, *targets_of(targets), strict=True):
            shown = classes >= 0
            complete += set(classes[shown]) == {0, 1, 2, 3}
            white = image[..., 0] > 140
            for left, top, right, bottom in np.rint(boxes[shown]).astype(int):
                assert white[top + 1 : bottom - 1, left + 1 : right - 1].all()
                white[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
            # Nothing white is without a box, except an edge of less than a pixel.
            assert white.sum() <= SIZE
            for box, label in zip(np.rint(boxes[shown]).astype(int), classes[shown], strict=True):
                inside = image[box[1] + 1 : box[3] - 1, box[0] + 1 : box[2] - 1, 1]
                np.testing.assert_allclose(inside, 60 * label, atol=0.1)
        np.testing.assert_array_equal(targets["ignored"], targets["classes"] == 2)
    assert complete > 8


def test_a_part_of_the_images_become_mosaics_and_the_others_keep_their_own_boxes():
    mosaics = []
    for images, targets in batches(range(30), four(), flip=False, mosaic=0.3):
        for number, (image, classes) in enumerate(zip(images, targets["classes"], strict=True)):
            mosaics.append(set(classes) - {-1} != {number})
            if not mosaics[-1]:
                np.testing.assert_allclose(image[..., 1], 60 * number, atol=1e-3)
    # A few mosaics show the boxes of one image alone.
    assert 0.15 < np.mean(mosaics) < 0.45


def test_fewer_than_four_images_are_repeated_in_a_mosaic():
    images, targets = four()
    data = images[1:2], {name: values[1:2] for name, values in targets.items()}
    shown = {tuple(set(y["classes"].ravel())) for _, y in batches(range(4), data, mosaic=1.0)}
    assert shown <= {(1,), (1, -1), (-1, 1)}


@pytest.mark.parametrize("mosaic", [0.0, 0.7])
def test_the_seed_and_the_number_alone_decide_in_any_order(mosaic):
    settings = {"scale": 0.5, "shift": 0.1, "colour": 0.4, "mosaic": mosaic}
    forward = batches(range(4), **settings)
    backward = batches(reversed(range(4)), **settings)[::-1]
    resumed = [None, None, *batches([2, 3], **settings)]
    assert len({x.tobytes() for x, _ in forward}) == 4
    for (x, y), (same, own), later in zip(forward, backward, resumed, strict=True):
        for other, boxes in ((same, own), later or (same, own)):
            np.testing.assert_array_equal(x, other)
            assert all((y[name] == boxes[name]).all() for name in y)
    other = BoxAugmentation(SIZE, seed=6, **settings)(*rectangles(), 0)[0]
    assert (other.numpy() != forward[0][0]).any()


def test_a_parallel_dataset_gives_the_same_batches():
    settings = {"scale": 0.5, "colour": 0.3, "mosaic": 0.5}
    images, targets = rectangles()
    augment = BoxAugmentation(SIZE, seed=5, **settings)
    dataset = tf.data.Dataset.range(4).map(
        lambda number: augment(images, targets, number), num_parallel_calls=4
    )
    shapes = {name: spec.shape.as_list()[1:] for name, spec in dataset.element_spec[1].items()}
    assert shapes == {"boxes": [16, 4], "classes": [16], "ignored": [16]}
    for (x, y), (same, own) in zip(dataset, batches(range(4), **settings), strict=True):
        # TensorFlow optimizes the two graphs differently.
        np.testing.assert_allclose(x, same, atol=0.01)
        np.testing.assert_allclose(y["boxes"], own["boxes"], atol=1e-3)
        np.testing.assert_array_equal(y["classes"], own["classes"])


def test_colours_change_within_their_range_and_boxes_stay():
    data = tf.random.stateless_uniform([COUNT, SIZE, SIZE, 3], [1, 2]) * 255, rectangles()[1]
    for images, targets in batches(range(2), data, flip=False, colour=1.0):
        assert images.min() >= 0 and images.max() <= 255
        assert (images != data[0].numpy()).mean() > 0.9
        assert all((targets[name] == data[1][name].numpy()).all() for name in targets)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"scale": -0.1}, "scale must be at least 0"),
        ({"shift": float("nan")}, "shift must be at least 0"),
        ({"colour": -1}, "colour must be at least 0"),
        ({"mosaic": 1.5}, "mosaic must be from 0 to 1, not 1.5"),
        ({"min_visibility": -0.1}, "min_visibility must be from 0 to 1"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoxAugmentation(**{"size": 64, **arguments})
