"""Generated faces: images of a person share the identity and differ in all else."""

import numpy as np
import pytest

from dlrecipes.data.generated import faces as module
from dlrecipes.data.generated.faces import generated_faces


@pytest.fixture(scope="module")
def faces():
    images, labels = generated_faces(12, 6, seed=5, size=32)
    return images.astype("float32") / 255, labels


def test_images_depend_on_the_seed():
    first, again = (generated_faces(2, 3, seed=1, size=24) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    assert (generated_faces(2, 3, seed=2, size=24)[0] != first[0]).mean() > 0.5


def test_images_do_not_depend_on_how_many_are_rendered_at_once(monkeypatch):
    expected, _ = generated_faces(2, 3, seed=1, size=16)
    monkeypatch.setattr(module, "BATCH", 4)
    np.testing.assert_array_equal(generated_faces(2, 3, seed=1, size=16)[0], expected)


def test_labels_count_from_first_and_each_number_is_another_person():
    _, labels = generated_faces(2, 2, seed=0, size=16, first=7)
    assert labels.tolist() == [7, 7, 8, 8]
    second, first = (generated_faces(1, 1, seed=0, size=16, first=n)[0] for n in (1, 0))
    assert (second != first).mean() > 0.5


def test_images_of_one_person_differ(faces):
    images, _ = faces
    for start in range(0, 72, 6):
        own = images[start : start + 6]
        gaps = np.abs(own[:, None] - own[None]).mean(axis=(2, 3, 4))
        assert gaps[~np.eye(6, dtype=bool)].min() > 0.03


def test_pixels_hardly_distinguish_people(faces):
    images, labels = faces
    flat = images.reshape(len(images), -1)
    gaps = ((flat[:, None] - flat[None]) ** 2).sum(axis=-1)
    same = labels[:, None] == labels[None]
    upper = np.triu(np.ones_like(same), k=1).astype(bool)
    own, others = gaps[upper & same], gaps[upper & ~same]
    nearer = (own[:, None] < others[None]).mean()
    # 1 is perfect, 0.5 is chance.
    assert 0.5 < nearer < 0.75


def test_skin_colour_belongs_to_the_person(faces):
    # The cheek has no features. The light changes its colour between the images of a person, but
    # not the ratio of its channels.
    images, labels = faces
    cheeks = images[:, 17:20, 13:19].mean(axis=(1, 2))
    ratios = cheeks[:, 0] / (cheeks[:, 2] + 0.05)
    people = [np.median(ratios[labels == name]) for name in range(12)]
    within = [np.std(ratios[labels == name]) for name in range(12)]
    assert np.std(people) > 0.5 * np.median(within)


def test_a_crop_enlarges_the_centre(monkeypatch):
    # Without the camera's noise, which would differ.
    monkeypatch.setattr(module, "_photographed", lambda colours, now, noise: colours)
    whole = generated_faces(1, 4, seed=3, size=96)[0]
    cropped = generated_faces(1, 4, seed=3, size=48, crop=(0.5, 0.5))[0]
    inner = whole[:, 24:72, 24:72]
    assert np.abs(cropped - inner).mean() < 0.01
    # A third of the width, all of the height.
    narrow = generated_faces(1, 4, seed=3, size=96, crop=(1.0, 1 / 3))[0]
    assert np.abs(narrow[:, :, 1::3] - whole[:, :, 32:64]).mean() < 0.02


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"crop": (1.0, 0.0)}, "crop must be two numbers above 0 and at most 1, not"),
        ({"crop": (1.1, 1.0)}, "crop must be two numbers above 0 and at most 1, not"),
        ({"identities": 0}, "identities must be at least 1, not 0"),
        ({"images": 0}, "images must be at least 1"),
        ({"size": 15}, "size must be at least 16"),
        ({"first": -1}, "first must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        generated_faces(**{"identities": 1, "images": 1, "seed": 0, **arguments})
