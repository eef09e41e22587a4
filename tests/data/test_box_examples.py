"""Images with boxes are selected without decoding, and boxes stay with their images."""

import io

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.errors import DataError

BOXES = [[[0, 0, 2, 3], [1, 1, 4, 4]], [], [[2, 0, 5, 4]]]
CLASSES = [[1, 0], [], [1]]


def examples():
    images = [np.full((4 + k, 6, 3), k, "uint8") for k in range(3)]
    return BoxExamples.from_arrays(
        images, BOXES, CLASSES, ("cat", "dog"), [[True, False], [], [False]]
    )


def test_every_image_has_its_own_boxes_classes_and_flags():
    whole = examples()
    for k in range(3):
        assert whole.boxes(k).tolist() == BOXES[k]
        assert whole.classes(k).tolist() == CLASSES[k]
        assert whole.size(k) == (4 + k, 6)
    assert [whole.ignored(k).tolist() for k in range(3)] == [[True, False], [], [False]]
    assert (whole.boxes(1).shape, whole.boxes(0).dtype) == ((0, 4), "float32")
    assert (whole.classes(1).dtype, whole.ignored(1).dtype) == ("int32", bool)


def test_a_selection_keeps_boxes_with_their_images_and_decodes_nothing(monkeypatch):
    whole = examples()
    monkeypatch.setattr(type(whole.source), "read", None)
    for chosen, numbers in ((whole[1:], [1, 2]), (whole[np.array([2, 0])][::-1], [0, 2])):
        assert isinstance(chosen, BoxExamples)
        assert [chosen.boxes(k).tolist() for k in range(2)] == [BOXES[n] for n in numbers]
        assert [chosen.size(k) for k in range(2)] == [(4 + n, 6) for n in numbers]
    with pytest.raises(TypeError, match="Select images by a slice"):
        whole[0]


def test_the_flat_table_has_the_boxes_of_the_selected_images_alone():
    flat = examples()[np.array([2, 1, 0, 2])].flat()
    assert flat.boxes.tolist() == [*BOXES[2], *BOXES[0], *BOXES[2]]
    assert flat.classes.tolist() == [1, 1, 0, 1]
    assert flat.ignored.tolist() == [False, True, False, False]
    assert flat.offsets.tolist() == [0, 1, 1, 3, 4]
    assert examples()[:0].flat().offsets.tolist() == [0]


def test_classes_follow_the_order_of_other_names():
    mapped = examples()[::-1].with_names(("cow", "dog", "cat"))
    assert mapped.names == ("cow", "dog", "cat")
    assert [mapped.classes(k).tolist() for k in range(3)] == [[1], [], [1, 2]]
    with pytest.raises(DataError, match="The data has the class 'cat'; the model knows dog"):
        examples().with_names(("dog",))


def test_sizes_of_files_are_those_of_the_upright_images(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg", exif=exif)
    whole = BoxExamples.from_files([tmp_path / "photo.jpg"], [[[0, 0, 20, 30]]], [[0]], ("cat",))
    assert whole.size(0) == whole.image(0).shape[:2] == (30, 20)
    assert not whole.ignored(0).any()
    assert Image.open(io.BytesIO(whole.image_bytes(0))).size == (30, 20)
    (tmp_path / "photo.jpg").unlink()
    with pytest.raises(DataError, match=r"photo\.jpg: the image cannot be read"):
        whole.size(0)


@pytest.mark.parametrize(
    ("boxes", "classes", "message"),
    [
        ([[[0, 0, 1, 1]]], [[0], [0]], "of 1, 2 and 1 images"),
        ([[[0, 0, 1, 1]]], [[0, 0]], "Image 0 has 1 boxes, 2 classes and 1 flags"),
        ([[[0, 0, 1, 1]]], [[1]], "from 1 to 1, but there are 1 names"),
        ([[]], [[]], "There are 3 images, but boxes of 1"),
    ],
)
def test_lists_that_do_not_match_are_refused(boxes, classes, message):
    images = np.zeros((1 if boxes[0] else 3, 4, 4), "uint8")
    with pytest.raises(ValueError, match=message):
        BoxExamples.from_arrays(images, boxes, classes, ("cat",))
