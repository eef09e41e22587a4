"""Small training data are reported with what to expect."""

import pytest

from dlrecipes.data.few_examples import few_in_all, few_per_class, label_counts
from dlrecipes.recipe import registry


def test_classes_with_few_examples_are_named():
    counts = label_counts([0] * 10 + [1] * 9 + [3], ("ten", "nine", "none", "one"))
    assert counts == {"ten": 10, "nine": 9, "none": 0, "one": 1}
    assert few_per_class(counts, "images", "classes", "expect mistakes") == [
        "3 of 4 classes have fewer than 10 training images (nine: 9, none: 0, one: 1): "
        "expect mistakes."
    ]
    assert few_per_class({"ten": 10}, "images", "classes", "expect mistakes") == []


@pytest.mark.parametrize(("count", "notes"), [(200, 0), (199, 1)])
def test_few_examples_in_all_are_a_note(count, notes):
    assert len(few_in_all(count, 200, "images", "expect copies")) == notes


SENTENCE = "to O\nRome B-city\n\n"


@pytest.mark.parametrize(
    ("recipe", "file", "text", "note"),
    [
        ("slot_filling", "s.txt", SENTENCE * 10, "city: 8"),
        ("poem_generation", "t.txt", "once upon a time " * 60, "characters are few"),
    ],
)
def test_a_run_says_that_its_data_are_few(tmp_path, recipe, file, text, note):
    (tmp_path / file).write_text(text)
    source = registry.find(recipe)
    config = source.config()(data=str(tmp_path / file))
    (few,) = source.recipe()(config, recipe).load_data().training_notes
    assert note in few


def test_built_in_data_are_enough():
    for name in ("digit_recognition", "slot_filling", "poem_generation"):
        source = registry.find(name)
        splits = source.recipe()(source.config()(), name).load_data()
        assert [*splits.notes, *splits.training_notes] == []
