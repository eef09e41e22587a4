"""Batches of boxes follow their images in any order, in pixels of the resized image."""

import itertools

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import image_batches
from dlrecipes.data.box_batches import box_batches
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.image_batches import plain_decoding_errors
from dlrecipes.errors import DataError

COUNT, SIZE, NAMES = 9, 32, ("cat", "dog", "bird")
# Images 0, 3 and 6 have no boxes, the others one or two.
NUMBERS = [number % 3 for number in range(COUNT)]


def image(number):
    """Returns an image of its own size, of which each box has the grey level of its place."""
    height, width = 16 * (1 + number % 2), 64 >> (number % 2)
    pixels = np.full((height, width, 3), 10 * number, "uint8")
    for place, (left, top, right, bottom) in enumerate(boxes(number)):
        pixels[top:bottom, left:right] = 150 + 50 * place
    return pixels


def boxes(number):
    """Returns boxes whose corners lie on whole pixels of the resized image."""
    width, height = (64, 16) if number % 2 == 0 else (32, 32)
    whole = np.array([width, height, width, height])
    parts = np.array([[1, 1, 3, 2], [5, 4, 8, 8]]) / 8
    return (parts * whole).astype(int)[: NUMBERS[number]]


def classes(number):
    return [number % 3, (number + 1) % 3][: NUMBERS[number]]


def ignored(number):
    return [False, True][: NUMBERS[number]]


def parts():
    return [[part(number) for number in range(COUNT)] for part in (boxes, classes)]


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        Image.fromarray(image(number)).save(path)
    return paths


@pytest.fixture
def examples(paths):
    flags = [ignored(number) for number in range(COUNT)]
    return BoxExamples.from_files(paths, *parts(), NAMES, flags)


def read(examples, steps=None, **kwargs):
    batches, one_epoch = box_batches(examples, SIZE, 4, seed=0, **kwargs)
    assert one_epoch == 3
    return [(x.numpy(), {name: part.numpy() for name, part in y.items()})
            for x, y in itertools.islice(batches, steps)]  # fmt: skip


def numbers(images):
    """Returns which image each of a batch is: its upper right corner shows no box."""
    return (images[:, 1, -1, 0] / 10).astype(int).tolist()


def check(batches):
    for images, targets in batches:
        for k, number in enumerate(numbers(images)):
            count = NUMBERS[number]
            assert targets["classes"][k].tolist() == classes(number) + [-1] * (2 - count)
            assert targets["ignored"][k].tolist() == ignored(number) + [False] * (2 - count)
            assert not targets["boxes"][k, count:].any()
            for place, box in enumerate(targets["boxes"][k, :count]):
                left, top, right, bottom = box.astype(int)
                assert box.tolist() == [left, top, right, bottom]
                # The image is interpolated at the edges of a box.
                grey = images[k, top + 1 : bottom - 1, left + 1 : right - 1]
                assert (grey == 150 + 50 * place).all() and grey.size


def test_one_pass_is_in_order_and_boxes_are_scaled_with_their_image(examples):
    batches = read(examples)
    assert [len(x) for x, _ in batches] == [4, 4, 1]
    assert [number for x, _ in batches for number in numbers(x)] == [*range(COUNT)]
    images, targets = batches[0]
    assert images.shape == (4, SIZE, SIZE, 3) and images.dtype == np.uint8
    assert targets["boxes"].shape == (4, 2, 4) and targets["boxes"].dtype == np.float32
    assert targets["classes"].dtype == np.int32 and targets["ignored"].dtype == bool
    # Eighths of the image: 32 / 8 = 4 pixels.
    assert targets["boxes"][2].tolist() == [[4, 4, 12, 8], [20, 16, 32, 32]]
    check(batches)


def test_boxes_follow_their_images_in_every_epoch_and_in_a_resumed_run(examples):
    batches = read(examples, 9, start_epoch=0)
    orders = [numbers(x) for x, _ in batches]
    for epoch in range(3):
        assert sorted(itertools.chain(*orders[3 * epoch : 3 * epoch + 3])) == [*range(COUNT)]
    assert orders[:3] != orders[3:6]
    check(batches)
    for (x, y), (same, own) in zip(read(examples, 3, start_epoch=2), batches[6:], strict=True):
        np.testing.assert_array_equal(x, same)
        assert all((y[name] == own[name]).all() for name in y)


def test_a_selection_has_its_own_boxes(examples):
    chosen = [8, 1, 3, 5, 7, 2, 0, 4, 6]
    batches = read(examples[np.array(chosen)])
    assert [number for x, _ in batches for number in numbers(x)] == chosen
    check(batches)


def test_arrays_give_the_same_batches_as_files(examples):
    arrays = BoxExamples.from_arrays(
        [image(number) for number in range(COUNT)], *parts(), NAMES, examples_flags()
    )
    for (x, y), (same, own) in zip(read(examples), read(arrays), strict=True):
        np.testing.assert_array_equal(x, same)
        assert all((y[name] == own[name]).all() for name in y)


def examples_flags():
    return [ignored(number) for number in range(COUNT)]


@pytest.mark.parametrize("max_boxes, expected", [(None, 1), (5, 5)])
def test_images_without_any_box_are_background(max_boxes, expected):
    images = np.zeros((9, 8, 8, 3), "uint8")
    examples = BoxExamples.from_arrays(images, [[]] * 9, [[]] * 9, NAMES)
    for _, targets in read(examples, max_boxes=max_boxes):
        assert targets["boxes"].shape[1:] == (expected, 4)
        assert (targets["classes"] == -1).all() and not targets["boxes"].any()


def test_the_number_of_boxes_is_the_same_in_all_batches_and_known(examples):
    batches, _ = box_batches(examples, SIZE, 4, seed=0)
    shapes = {name: spec.shape.as_list() for name, spec in batches.element_spec[1].items()}
    assert shapes == {"boxes": [None, 2, 4], "classes": [None, 2], "ignored": [None, 2]}
    # The first three images of this part have at most one box.
    assert read(examples[[0, 1, 3] * 3])[0][1]["classes"].shape == (4, 1)


def test_an_image_with_more_boxes_than_the_maximum_is_named(examples):
    with pytest.raises(DataError, match=r"2\.png: the image has 2 boxes, more than max_boxes=1"):
        box_batches(examples, SIZE, 4, seed=0, max_boxes=1)


def test_images_and_errors_are_those_of_image_batches(examples, paths, monkeypatch):
    read(examples)
    decoded = []
    original = type(examples.source).read
    monkeypatch.setattr(
        type(examples.source),
        "read",
        lambda *args, **kw: decoded.append(1) or original(*args, **kw),
    )
    # Decoded images are kept, also for another order and for a part of them.
    read(examples, 6, start_epoch=1)
    assert decoded == [] and examples.source in image_batches._decoded
    paths[5].write_bytes(paths[5].read_bytes()[:70])
    again = BoxExamples(
        type(examples.source)(paths), examples.table, NAMES, np.full((COUNT, 2), SIZE)
    )
    with (
        pytest.raises(DataError, match=r"5\.png: the image cannot be read"),
        plain_decoding_errors(),
    ):
        read(again)
