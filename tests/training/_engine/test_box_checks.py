import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training._engine.box_checks import check_batch, check_values

IMAGES = np.zeros((2, 20, 30, 3), "float32")
BOXES = np.array([[[1, 2, 9, 8], [0, 0, 0, 0]], [[0, 0, 30, 20], [5, 5, 6, 6]]], "float32")
CLASSES = np.array([[0, -1], [2, 1]], "int32")
NAMES = ("cat", "dog", "fox")


def targets(**changes):
    return {"boxes": BOXES, "classes": CLASSES, "ignored": CLASSES == 1, **changes}


def changed(image, box, values):
    boxes = BOXES.copy()
    boxes[image, box] = values
    return {"boxes": boxes}


def test_valid_batches_pass():
    check_batch(IMAGES, targets())
    check_values(IMAGES, targets(), NAMES)
    # Padding is not read.
    check_values(IMAGES, targets(**changed(0, 1, np.nan)), NAMES)
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), targets())
    check_batch(tf.TensorSpec([None, 20, 30, 3]), specs)
    without = targets()
    del without["ignored"]
    check_batch(IMAGES, without)
    check_values(IMAGES, without, NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": BOXES[..., :3]}, r"boxes must be of shape \(batch, objects, 4\), not \(2, 2, 3"),
        ({"boxes": BOXES[0]}, r"boxes must be of shape \(batch, objects, 4\), not \(2, 4\)"),
        ({"classes": CLASSES[:, :1]}, r"classes must be of shape \(2, 2\), one for each box"),
        ({"ignored": CLASSES[0] == 1}, r"ignored must be of shape \(2, 2\), one for each box"),
        (
            {"classes": CLASSES.astype("float32")},
            "classes must be integers, -1 for padding, not fl",
        ),
        ({"labels": CLASSES}, "a dictionary of boxes, classes and perhaps ignored, not of boxes"),
    ],
)
def test_wrong_shapes_and_types_are_one_line(change, message):
    with pytest.raises(ValueError, match=message) as error:
        check_batch(IMAGES, targets(**change))
    assert "\n" not in str(error.value)


def test_batches_that_are_not_images_with_boxes_are_refused():
    with pytest.raises(ValueError, match="a dictionary of boxes, classes and perhaps ignored, not"):
        check_batch(IMAGES, CLASSES)
    with pytest.raises(ValueError, match="not of boxes"):
        check_batch(IMAGES, {"boxes": BOXES})
    with pytest.raises(ValueError, match="no sample weights: mark objects as ignored"):
        check_batch(IMAGES, targets(), np.ones(2))
    with pytest.raises(ValueError, match=r"floats from 0 to 1, not uint8. Scale them: x / 255"):
        check_batch(IMAGES.astype("uint8"), targets())
    with pytest.raises(ValueError, match="boxes are of 2 images, but there are 1"):
        check_batch(IMAGES[:1], targets())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            changed(1, 1, [5, 5, np.nan, 6]),
            r"Box 1 of image 1 is \(5, 5, nan, 6\): NaN or infinite",
        ),
        (changed(0, 0, [9, 2, 1, 8]), r"Box 0 of image 0 is \(9, 2, 1, 8\): boxes are \(left, top"),
        (changed(0, 0, [1, 2, 9, 2]), r"Box 0 of image 0 is \(1, 2, 9, 2\): boxes are \(left, top"),
        (changed(1, 0, [0, 0, 33, 20]), "outside the image of 30 x 20 pixels: clip it"),
        ({"classes": CLASSES + 1}, "Box 0 of image 1 has class 3; classes are 0 to 2, -1 for padd"),
        ({"classes": CLASSES - 1}, "Box 1 of image 0 has class -2"),
        ({"boxes": BOXES / 100}, "All boxes lie between 0 and 1: they must be in pixels"),
    ],
)
def test_impossible_boxes_are_one_line_that_names_the_box(change, message):
    with pytest.raises(ValueError, match=message) as error:
        check_values(IMAGES, targets(**change), NAMES)
    assert "\n" not in str(error.value)


def test_nan_in_images_is_refused():
    with pytest.raises(ValueError, match="images contains NaN"):
        check_values(np.full_like(IMAGES, np.nan), targets(), NAMES)
