"""Copies are found within parts, across parts, and under several labels."""

from dlrecipes.data.reports.copies import WHOLE, Copies


def messages(*examples, **options):
    copies = Copies("images", **options)
    for content, part, label in examples:
        copies.add(content, part, label, f"{part}/{label}")
    return [finding.message for finding in copies.findings()]


def test_different_examples_are_not_reported():
    assert messages((1, "train", "a"), (2, "test", "a")) == []


def test_test_images_in_training_are_counted_once_each():
    found = messages(
        (1, "train", "a"), (1, "train", "a"), (1, "test", "a"), (2, "test", "a"), (1, "test", "a")
    )
    assert "2 of 3 test images are also in train" in found[0]
    assert "1 of 2 train images repeats an earlier one" in found[1]
    assert "1 of 3 test images repeats an earlier one" in found[2]


def test_copies_in_data_that_is_split_later_may_end_in_two_parts():
    (found,) = messages((1, WHOLE, "a"), (1, WHOLE, "a"))
    assert "split" in found


def test_the_same_content_under_two_labels_is_a_contradiction():
    found = messages((1, "train", "cat"), (1, "train", "dog"), label="class")
    assert "Images that occur with more than one class: 1." in found[-1]
