import pytest

from dlrecipes.data.parts import part_files, random_split
from dlrecipes.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_a_file_is_the_training_part(tmp_path):
    path = touch(tmp_path, "all.txt") / "all.txt"
    assert part_files(path, ".txt") == {"train": path}


@pytest.mark.parametrize("validation", ["valid.txt", "validation.jsonl.gz", "VAL", "dev.txt"])
def test_files_in_a_folder_are_found_by_name(tmp_path, validation):
    folder = touch(tmp_path, "training.txt", validation, "test.txt", "notes.txt")
    (folder / "train").mkdir()
    files = part_files(folder, ".txt")
    assert list(files) == ["train", "validation", "test"]
    assert [path.name for path in files.values()] == ["training.txt", validation, "test.txt"]


def test_a_missing_or_ambiguous_part_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"no file train and no file valid\. .* as \.txt\."):
        part_files(tmp_path, ".txt")
    touch(tmp_path, "train.txt")
    with pytest.raises(DataError, match=r"there is no file valid\."):
        part_files(tmp_path, ".txt")
    touch(tmp_path, "dev.txt", "valid.txt")
    with pytest.raises(DataError, match=r"both dev\.txt and valid\.txt hold the validation part"):
        part_files(tmp_path, ".txt")


def test_a_missing_or_impossible_path_is_reported(tmp_path):
    touch(tmp_path, "poems.txt")
    with pytest.raises(DataError, match=r"does not exist\. Did you mean 'poems\.txt'\?"):
        part_files(tmp_path / "poem.txt", ".txt")
    with pytest.raises(DataError, match="cannot be read"):
        part_files("a" * 5000, ".txt")


def test_a_random_split_depends_on_the_seed_alone():
    splits = [random_split(range(100), (0.9, 0.05, 0.05), seed, "numbers") for seed in (0, 0, 1)]
    assert [len(part) for part in splits[0]] == [90, 5, 5]
    assert sorted(k for part in splits[0] for k in part) == list(range(100))
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_no_part_of_a_random_split_is_empty():
    assert [len(part) for part in random_split("abc", (0.9, 0.05, 0.05), 0, "letters")] == [1] * 3
    with pytest.raises(DataError, match="letters: 2 examples are too few to split into 3 parts"):
        random_split("ab", (0.9, 0.05, 0.05), 0, "letters")
