"""Uneven, small and missing classes are warnings."""

import pytest

from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.class_counts import add_classes, add_groups


def warnings(counts, **options):
    report = DataReport("x")
    add_classes(report, counts, **options)
    return [finding.message for finding in report.warnings]


def test_even_classes_are_not_reported():
    assert warnings({"train": {"a": 100, "b": 10}, "test": {"a": 1, "b": 1}}) == []


@pytest.mark.parametrize("balance", [False, True])
def test_a_ratio_above_ten_is_reported_with_the_setting_that_helps(balance):
    (found,) = warnings({"train": {"a": 110, "b": 10}, "test": {"a": 1, "b": 1}}, balance=balance)
    assert "'a' has 11 times as many train images as 'b'" in found
    assert ("--balance" in found) == balance


def test_a_small_class_is_named_with_its_count():
    report = DataReport("x")
    add_classes(report, {"all": {"a": 30, "b": 9}})
    assert report.warnings[0].examples == ["b: 9"]


def test_classes_of_one_part_alone_are_reported():
    found = warnings({"train": {"a": 20, "b": 20}, "test": {"a": 5, "c": 5}})
    assert found == [
        "The test part lacks 1 of 2 classes: b.",
        "The test part has a class that train lacks: c.",
    ]


def test_classes_are_in_natural_order_with_counts_of_each_part():
    report = DataReport("x")
    add_classes(report, {"train": {"10": 30, "2": 10}, "test": {"2": 1}})
    assert report.tables[0].rows == [["2", 10, 1, "25.0%"], ["10", 30, 0, "75.0%"]]


def test_groups_are_summarized_by_part():
    report = DataReport("x")
    add_groups(report, {"train": {"ann": 1, "bo": 5, "cy": 3}, "test": {"di": 2}}, "people")
    assert report.tables[0].rows == [["train", 3, 1, 3, 5, 1], ["test", 1, 2, 2, 2, 0]]
