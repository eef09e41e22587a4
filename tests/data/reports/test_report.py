"""A report prints aligned tables, and names three cases of each finding."""

import pytest

from dlrecipes.data.reports import DataReport, Finding, Table
from dlrecipes.errors import DataError, raise_first


def test_columns_are_aligned_numbers_to_the_right_and_wide_letters_count_twice():
    table = Table("Classes", ["class", "images"], [["猫", 7], ["dog", 1200]])
    assert str(table).splitlines() == [
        "Classes",
        "  class  images",
        "  猫          7",
        "  dog     1,200",
    ]


def test_a_long_table_is_cut_in_print_but_not_in_the_data():
    report = DataReport("x").add_table("Classes", ["class"], [[str(k)] for k in range(1000)])
    assert "... 980 more rows" in str(report)
    assert len(report.to_dict()["tables"]["Classes"]) == 1000


@pytest.mark.parametrize(
    ("count", "lines"), [(2, ["a0", "a1"]), (5, ["a0", "a1", "a2", "... and 2 more"])]
)
def test_the_first_three_cases_are_named(count, lines):
    finding = Finding("Wrong:", [f"a{k}" for k in range(count)])
    assert [line.strip() for line in str(finding).splitlines()] == ["Wrong:", *lines]


def test_warnings_leave_the_data_usable_and_problems_do_not():
    report = DataReport("x", warnings=[Finding("few")])
    assert report.usable and str(report).endswith("The data can be used (1 warning).")
    report.problems.append(Finding("none"))
    assert not report.usable and "cannot be used" in str(report).splitlines()[-1]


def test_an_error_brings_all_problems_that_were_found_with_it():
    with pytest.raises(DataError) as caught:
        raise_first(DataError(f"line {k}.", "Mend it.") for k in range(4))
    report = DataReport("x").add_error(caught.value)
    assert report.problems[0].examples == [f"line {k}." for k in range(4)]
    assert report.problems[0].message == "4 problems. For each: Mend it."
