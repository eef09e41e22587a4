"""README tables are made from config.py and results.csv, and from nothing else."""

import pytest

from dlrecipes.errors import DataError
from dlrecipes.recipe import readme, registry
from dlrecipes.recipe.options import settings, spelled
from dlrecipes.recipe.readme import COLUMNS, read_results, results_table, settings_table, updated

ROW = {
    "data": "builtin",
    "configuration": "default",
    "seed": "0",
    "metric": "accuracy",
    "value": "0.5",
    "minutes": "2",
    "machine": "x86_64, 2 cores",
    "version": "0.1.0",
    "command": "dlrecipes run mine",
}
README = """# Mine

Before <!-- settings --> it.
<!-- settings: generated -->
old
<!-- end -->
Between, with a back\\1slash.
<!-- results: generated -->
<!-- end -->
Behind.
"""


def row(**changes):
    return {**ROW, **changes}


def results_csv(folder, rows, columns=COLUMNS):
    lines = [columns, *([f'"{r[name]}"' for name in columns] for r in rows)]
    path = folder / "results.csv"
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return path


def cells(table):
    """Returns the rows of a Markdown table without its header, as lists of cells."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def refusal(path):
    with pytest.raises(DataError) as caught:
        read_results(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(own_recipe):
    path = own_recipe()
    (path / "README.md").write_text(README, encoding="utf-8")
    results_csv(path, [row()])
    return path


def test_results_are_read_as_they_are_written(tmp_path):
    rows = [row(), row(seed="1", configuration="two, by commas")]
    assert read_results(results_csv(tmp_path, rows)) == rows


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path, column):
    path = results_csv(tmp_path, [row()], [name for name in COLUMNS if name != column])
    assert refusal(path) == f"{path}:1: the column {column!r} is missing."


def test_an_empty_results_file_misses_its_columns(tmp_path):
    (tmp_path / "results.csv").write_text("")
    assert "results.csv:1: the column 'data' is missing." in refusal(tmp_path / "results.csv")


@pytest.mark.parametrize("column", ["value", "minutes"])
@pytest.mark.parametrize("text", ["", "fast", "0,5", "nan", "inf"])
def test_a_bad_number_is_named_with_file_and_line(tmp_path, column, text):
    path = results_csv(tmp_path, [row(), row(**{column: text})])
    assert refusal(path) == f"{path}:3: {column} is {text!r}, expected a number."


def test_lines_are_counted_as_an_editor_does(tmp_path):
    path = results_csv(tmp_path, [row(machine="two\nlines")])
    path.write_text(
        path.read_text() + "\n" + ",".join(row(value="x")[n] for n in COLUMNS if n != "machine")
    )
    assert refusal(path).startswith(f"{path}:5: ")


def test_a_row_that_ends_early_is_named_with_its_line(tmp_path):
    path = results_csv(tmp_path, [row()])
    path.write_text(path.read_text() + "builtin,default,0,accuracy\n")
    assert refusal(path).startswith(f"{path}:3: value is None")


def test_results_that_are_not_utf8_are_refused(tmp_path):
    path = results_csv(tmp_path, [row()])
    path.write_bytes(path.read_bytes() + b"\xff")
    assert refusal(path) == f"{path}: not UTF-8."


def test_mean_and_range_are_those_of_the_seeds():
    rows = [
        row(seed="0", value="0.5", minutes="1"),
        row(seed="1", value="0.25", minutes="2"),
        row(seed="2", value="0.9", minutes="6"),
    ]
    # (0.5 + 0.25 + 0.9) / 3 = 0.55; (1 + 2 + 6) / 3 = 3.
    expected = ["builtin", "default", "0.5500 (0.2500 to 0.9000)", "3", "3.0"]
    assert cells(results_table(rows)) == [expected]


def test_one_seed_has_no_range():
    assert cells(results_table([row(value="0.125")]))[0][2:4] == ["0.1250", "1"]


def test_each_metric_is_a_column():
    rows = [row(value="0.25"), row(metric="f1", value="0.75")]
    assert cells(results_table(rows)) == [["builtin", "default", "0.2500", "0.7500", "1", "2.0"]]


@pytest.mark.parametrize("column", ["data", "configuration"])
def test_what_differs_in_more_than_the_seed_is_a_row_of_its_own(column):
    one, other = row(value="1"), row(**{column: "other"}, value="3")
    table = cells(results_table([one, other, row(seed="1", value="2")]))
    assert [line[2][:6] for line in table] == ["1.5000", "3.0000"]


def test_every_setting_is_a_row(own_recipe):
    config = registry.find(str(own_recipe())).config()
    rows = cells(settings_table(config))
    assert [line[0] for line in rows] == [f"`{s.option}`" for s in settings(config)]
    assert rows[0] == [
        "`--units`",
        "`8`",
        "an integer >= 1 and <= 64",
        "4 to 32, log",
        "Hidden units.",
    ]
    assert [line[1] for line in rows] == [f"`{spelled(s.default)}`" for s in settings(config)]


def test_generated_sections_are_replaced_and_nothing_else(folder):
    parts = readme.generated(folder)
    expected = README.replace("old", parts["settings"]).replace(
        "<!-- results: generated -->\n", f"<!-- results: generated -->\n{parts['results']}\n"
    )
    assert updated(folder) == expected


def test_making_sections_again_changes_nothing(folder):
    text = updated(folder)
    (folder / "README.md").write_text(text, encoding="utf-8")
    assert updated(folder) == text
    results_csv(folder, [row(value="0.75")])
    assert updated(folder) == text.replace("| 0.5000 |", "| 0.7500 |")


@pytest.mark.parametrize(
    "text",
    [
        README.replace("settings: generated", "setting: generated"),
        README.replace("<!-- settings: generated -->", ""),
        README[: README.rindex("<!-- end -->")],
        README + README,
    ],
)
def test_a_readme_without_one_place_for_a_section_is_refused(folder, text):
    (folder / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"one section '<!-- (settings|results): generated"):
        updated(folder)


@pytest.mark.parametrize("name", [source.name for source in registry.sources()])
def test_the_readme_of_a_built_in_recipe_is_up_to_date(name):
    folder = registry.find(name).folder
    assert (folder / "README.md").read_text(encoding="utf-8") == updated(folder)
