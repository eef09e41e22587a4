"""Images of people: splits share nobody, and images of every format are read."""

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.faces import Size, builtin_faces, described, fit_image, fitted, read_faces
from dlrecipes.errors import DataError

SIZE = Size(16)


def person(folder, name, count=3, size=(20, 24), mode="L", suffix="png"):
    (folder / name).mkdir(parents=True)
    for number in range(count):
        shade = (len(name) * 37 + number * 11 + sum(map(ord, name))) % 256
        colour = shade if mode == "L" else (shade,) * len(mode)
        Image.new(mode, size, colour).save(folder / name / f"{number}.{suffix}")


def people_of(part):
    return {part.names[label] for label in part.labels}


def test_built_in_splits_share_no_people():
    parts = builtin_faces((5, 2, 3), 4, SIZE, seed=0)
    assert [(len(part), part.people) for part in parts] == [(20, 5), (8, 2), (12, 3)]
    assert len(set.union(*map(people_of, parts))) == 10
    assert parts[0].images.shape == (20, 16, 16, 1)
    assert builtin_faces((2, 2, 2), 2, Size(16, channels=3), seed=0)[0].images.shape[-1] == 3


def test_a_folder_is_split_by_person(tmp_path):
    for number in range(10):
        person(tmp_path, f"s{number}")
    parts = read_faces(tmp_path, SIZE, seed=3)
    people = [people_of(part) for part in parts]
    assert [len(names) for names in people] == [6, 2, 2]
    assert len(set.union(*people)) == 10
    again = read_faces(tmp_path, SIZE, seed=3)
    assert [people_of(part) for part in again] == people
    # Labels are indices of the names of the same split.
    for part in parts:
        assert set(part.labels.tolist()) == set(range(len(part.names)))
        for label in range(len(part.names)):
            assert len(np.unique(part.images[part.labels == label])) <= 3


def test_existing_splits_are_kept_and_missing_ones_held_out(tmp_path):
    for part, count in {"train": 6, "test": 2}.items():
        for number in range(count):
            person(tmp_path / part, f"{part}{number}")
    train, validation, test = read_faces(tmp_path, SIZE, seed=0)
    assert people_of(test) == {"test0", "test1"}
    assert len(people_of(validation)) == 2
    assert people_of(train) | people_of(validation) == {f"train{n}" for n in range(6)}


@pytest.mark.parametrize(
    "valid, test, first, second",
    [
        (("bob", "cai"), ("dan", "eve"), "train", "valid"),
        (("dan", "eve"), ("bob", "cai"), "train", "test"),
        (("bob", "dan"), ("bob", "eve"), "valid", "test"),
    ],
)
def test_a_person_in_two_splits_is_rejected(tmp_path, valid, test, first, second):
    known = ("ann", "bob") if first == "train" else ("ann", "cai")
    for part, names in {"train": known, "valid": valid, "test": test}.items():
        for name in names:
            person(tmp_path / part, name)
    with pytest.raises(DataError) as caught:
        read_faces(tmp_path, SIZE, seed=0)
    assert caught.value.message == f"{tmp_path / second}: 'bob' also occurs in {first}."


def test_people_with_a_single_image_are_skipped_and_counted(tmp_path):
    for number in range(6):
        person(tmp_path, f"s{number}")
    person(tmp_path, "alone", count=1)
    parts = read_faces(tmp_path, SIZE, seed=0)
    assert "alone" not in set.union(*map(people_of, parts))
    assert described(parts)["left out"] == "1 people with a single image"


@pytest.mark.parametrize(
    "people, message",
    [
        ({"ann": 3}, "one class folder"),
        ({"ann": 3, "bob": 1}, "two images each, got 1; 'bob' has a single image"),
        ({"ann": 3, "bob": 0}, "one class folder"),
        ({"ann": 3, "bob": 3}, "2 people have two images or more; .* at least 6"),
    ],
)
def test_errors_about_too_few_images_say_what_is_missing(tmp_path, people, message):
    for name, count in people.items():
        person(tmp_path, name, count)
    with pytest.raises(DataError, match=message):
        read_faces(tmp_path, SIZE, seed=0)


@pytest.mark.parametrize("wrapping", ["lfw", "archive/lfw-deepfunneled/lfw-deepfunneled"])
def test_a_wrapped_folder_of_people_is_read_and_named(tmp_path, wrapping):
    for number in range(6):
        person(tmp_path / wrapping, f"_s{number}")
    (tmp_path / "pairs.csv").touch()
    notes = []
    assert sum(part.people for part in read_faces(tmp_path, SIZE, 0, notes.append)) == 6
    assert notes == [f"The data was found in {tmp_path / wrapping}."]


def test_missing_folders_and_damaged_images_are_reported(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        read_faces(tmp_path / "nothing", SIZE, seed=0)
    for number in range(6):
        person(tmp_path, f"s{number}")
    (tmp_path / "s2" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"s2/1\.png: this is not an image"):
        read_faces(tmp_path, SIZE, seed=0)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_mode_and_size_are_resized(tmp_path, mode, channels):
    for number in range(6):
        person(tmp_path, f"s{number}", 2, (30 + number, 17), mode)
    train, _, _ = read_faces(tmp_path, Size(16, channels=channels), seed=0)
    assert train.images.shape[1:] == (16, 16, channels)


@pytest.mark.parametrize("channels", [1, 4])
def test_several_images_are_fitted_as_each_of_them_is(channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 30, channels), "uint8")
    size = Size(16, crop=0.5)
    together = fit_image(images, size)
    np.testing.assert_array_equal(together, [fit_image(image, size) for image in images])


def test_the_crop_is_central():
    image = np.zeros((40, 40, 1), "float32")
    image[10:30, 10:30] = 1
    assert fitted(image, Size(16, crop=0.5)).numpy().min() == pytest.approx(1)
    # A quarter of the whole is white.
    assert fitted(image, Size(16)).numpy().mean() == pytest.approx(0.25, abs=0.02)
