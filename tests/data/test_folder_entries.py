"""Entries of folders in the order that people expect."""

from dlrecipes.data.folder_entries import natural


def test_numbers_in_names_are_sorted_by_value():
    assert sorted(["x²", "10", "2", "b1", "a"], key=natural) == ["2", "10", "a", "b1", "x²"]
