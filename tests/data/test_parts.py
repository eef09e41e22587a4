import pytest

from dlrecipes.data.parts import find_parts, part_files, part_of, random_split
from dlrecipes.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_a_file_is_the_training_part(tmp_path):
    path = touch(tmp_path, "all.txt") / "all.txt"
    assert part_files(path, ".txt").paths == {"train": path}


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (
            "train",
            "train TRAINING Train.txt eng.train train.char.bmes NER-de-train.tsv train.iob.gz",
        ),
        ("train", "wnut17train.conll training_set train2017 atis-2.train.w-intent.iob"),
        ("validation", "valid val.txt Validation dev devel.tsv eng.testa en_ewt-ud-dev.conllu"),
        ("test", "test testb eng.testb eval.txt emerging.test.annotated 1.Test.json my/test"),
        (None, "test_old.txt train_v2.csv train_test.txt devtest contest.txt testa/notes trainA"),
        (None, "latest.txt README.md train-of-thought.txt dev.train"),
    ],
)
def test_names_of_parts_are_read_in_any_case_with_the_name_of_the_data(part, names):
    assert {name: part_of(name) for name in names.split()} == dict.fromkeys(names.split(), part)


def test_an_ambiguous_name_is_ignored_next_to_a_clear_one_and_refused_alone(tmp_path):
    touch(tmp_path, "train.txt", "test.txt", "test_old.txt", ".train.txt", "notes.txt")
    found = find_parts(tmp_path)
    assert [path.name for path in found.paths.values()] == ["train.txt", "test.txt"]
    assert found.note == "test_old.txt"
    (tmp_path / "test.txt").unlink()
    with pytest.raises(DataError, match=r"test_old\.txt may or may not be the test part\. Rename"):
        find_parts(tmp_path)
    (tmp_path / "train.txt").unlink()
    assert find_parts(tmp_path).paths == {}


def test_a_folder_is_a_part_by_its_whole_name_unless_all_folders_are_parts(tmp_path):
    for name in ("photos/Train", "photos/val", "photos/steam_train", "photos/Test"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "classes/steam_train",
        "classes/bus",
        "kaggle/seg_train",
        "kaggle/seg_test",
        "kaggle/seg_pred",
    ):
        (tmp_path / name).mkdir(parents=True)
    for name in ("sets/training_set", "sets/test_set"):
        (tmp_path / name).mkdir(parents=True)
    found = [find_parts(tmp_path / name) for name in ("photos", "classes", "kaggle", "sets")]
    assert [[path.name for path in parts.paths.values()] for parts in found] == [
        ["Train", "val", "Test"],
        [],
        ["seg_train", "seg_test"],
        ["training_set", "test_set"],
    ]
    assert not any(parts.ignored for parts in found)


@pytest.mark.parametrize(
    "names",
    [
        "ccpc_train_v1.0.json ccpc_valid_v1.0.json ccpc_test_v1.0.json",
        "restauranttrain.bio restaurantdev.bio restauranttest.bio",
        "trainset.txt validset.txt testset.txt",
        "train-en.tsv dev-en.tsv eval-en.tsv",
        "msra_train_bio msra_dev_bio msra_test_bio",
        "trn.txt validate.txt tst.txt",
    ],
)
def test_files_whose_names_differ_only_in_the_part_are_parts(tmp_path, names):
    found = find_parts(touch(tmp_path, *names.split(), "contest.txt", "vocab.txt"))
    assert list(found.paths) == ["train", "validation", "test"]
    assert [path.name for path in found.paths.values()] == names.split()


def test_names_that_differ_in_more_than_the_part_are_not_parts(tmp_path):
    touch(tmp_path, "train_v2.csv", "contest.txt", "test_old.txt")
    assert find_parts(tmp_path).paths == {}
    touch(tmp_path, "test_v2.csv", "engtrain.bio", "engtest.bio")
    with pytest.raises(DataError, match="belong to several datasets"):
        find_parts(tmp_path)


def test_of_two_test_parts_one_may_be_for_validation(tmp_path):
    with pytest.raises(DataError, match=r"or rename the other valid\.tsv if it is for validation"):
        find_parts(touch(tmp_path, "train.tsv", "eval.tsv", "test.tsv"))


@pytest.mark.parametrize("validation", ["valid.txt", "validation.jsonl.gz", "VAL", "dev.txt"])
def test_files_in_a_folder_are_found_by_name(tmp_path, validation):
    folder = touch(tmp_path, "training.txt", validation, "test.txt", "notes.txt")
    (folder / "train").mkdir()
    files = part_files(folder, ".txt").paths
    assert list(files) == ["train", "validation", "test"]
    assert [path.name for path in files.values()] == ["training.txt", validation, "test.txt"]


def test_a_missing_or_ambiguous_part_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"no file train and no file valid\. .* as \.txt\."):
        part_files(tmp_path, ".txt")
    touch(tmp_path, "poet.0.json", "poet.1000.json")
    with pytest.raises(DataError, match=r"Or give one file, such as .*/poet\.0\.json: it is split"):
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
