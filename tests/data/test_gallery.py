"""A gallery finds the nearest people, is stored in a file, and belongs to one model."""

import time

import numpy as np
import pytest

from dlrecipes.data.gallery import Gallery, list_people
from dlrecipes.errors import DataError

RNG = np.random.default_rng(0)


def sphere(count, units=128):
    points = RNG.normal(size=(count, units))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype("float32")


def test_nearest_people_match_an_exhaustive_search():
    embeddings, names = sphere(500, 16), [f"p{n // 5}" for n in range(500)]
    gallery = Gallery(embeddings, names, "m")
    for query in sphere(20, 16):
        best = {}
        for name, own in zip(names, embeddings, strict=True):
            distance = float(np.sum((own - query) ** 2))
            best[name] = min(distance, best.get(name, np.inf))
        expected = sorted(best.items(), key=lambda item: item[1])[:7]
        matches = gallery.nearest(query, 7)
        assert [match.name for match in matches] == [name for name, _ in expected]
        distances = [distance for _, distance in expected]
        np.testing.assert_allclose([m.distance for m in matches], distances, atol=1e-5)


def test_a_person_with_many_images_hides_nobody():
    # The hundred nearest images are of one person.
    embeddings = np.concatenate([np.full((100, 2), 0.1), [[1.0, 1.0]], [[2.0, 2.0]]])
    gallery = Gallery(embeddings, ["a"] * 100 + ["b", "c"], "m")
    assert [match.name for match in gallery.nearest(np.zeros(2), 3)] == ["a", "b", "c"]
    assert len(gallery.nearest(np.zeros(2), 9)) == 3


def test_100_000_embeddings_are_searched_in_50_milliseconds():
    gallery = Gallery(sphere(100_000), [str(n) for n in range(100_000)], "m")
    query, seconds = sphere(1)[0], []
    for _ in range(9):
        start = time.perf_counter()
        gallery.nearest(query, 2)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


def test_a_saved_gallery_is_restored_for_its_own_model_only(tmp_path):
    gallery = Gallery(sphere(3, 4), ["安娜", "Bob", "Bob"], "one")
    gallery.save(tmp_path / "g.npz")
    again = Gallery.load(tmp_path / "g.npz", "one")
    np.testing.assert_array_equal(again.embeddings, gallery.embeddings)
    assert list(again.names) == ["安娜", "Bob", "Bob"]
    with pytest.raises(DataError, match="belongs to another model"):
        Gallery.load(tmp_path / "g.npz", "other")
    assert [path.name for path in tmp_path.iterdir()] == ["g.npz"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_files_that_are_not_galleries_are_reported(tmp_path, content):
    (tmp_path / "g.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"g\.npz cannot be read: it is not a gallery"):
        Gallery.load(tmp_path / "g.npz", "one")
    with pytest.raises(DataError, match="No such file"):
        Gallery.load(tmp_path / "none.npz", "one")


def test_files_with_other_arrays_are_rejected(tmp_path):
    np.savez(tmp_path / "g.npz", embeddings=np.zeros((1, 2)))
    with pytest.raises(DataError, match="it is not a gallery"):
        Gallery.load(tmp_path / "g.npz", "one")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        Gallery(sphere(1, 2), ["a"], "m").save(tmp_path / "none" / "g.npz")
    with pytest.raises(DataError, match="expected a file, got a folder"):
        Gallery(sphere(1, 2), ["a"], "m").save(tmp_path)


@pytest.mark.parametrize("names", [[], ["a"]])
def test_each_embedding_needs_a_name(names):
    with pytest.raises(ValueError, match="one name for each"):
        Gallery(np.zeros((len(names) * 2, 3)), names, "m")


def test_people_are_the_folders_of_a_folder(tmp_path):
    with pytest.raises(
        DataError, match="expected a folder of images per class, got no class folders"
    ):
        list_people(tmp_path)
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
        for file in ("2.png", "10.png", "notes.txt"):
            (tmp_path / name / file).touch()
    people = list_people(tmp_path)
    assert list(people) == ["a", "b"]
    assert [path.name for path in people["a"]] == ["2.png", "10.png"]
    (tmp_path / "empty").mkdir()
    assert list(list_people(tmp_path)) == ["a", "b"]
