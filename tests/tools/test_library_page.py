"""The library page lists every public name and says only what the docstrings say."""

import importlib
import re

import pytest

from dlrecipes.errors import DataError
from tools import library_page, readme, speed_page
from tools.library_page import PAGE, REFERENCED, SECTIONS, call, grouped, page, paper, summary

NAMES = [
    (package, name) for package in SECTIONS for name in importlib.import_module(package).__all__
]


class Documented:
    """Does one thing.

    And another.

    Reference:
        Someone and
        Other, 1999, "Their work". Later, 2005, "More".
    """

    def __init__(self, units, names, rate=0.5, **kwargs):
        pass


def with_docstring(text):
    return type("Thing", (), {"__doc__": text})


def error_of(function, *args):
    with pytest.raises(DataError) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_committed_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make readme"


def test_every_public_name_has_one_row_linked_to_its_definition():
    links = re.findall(r"^\| \[`(\w+)\(.*\)`\]\((.*?)\)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(name for name, _ in links) == sorted(name for _, name in NAMES)
    for name, link in links:
        source = (PAGE.parent / link).read_text(encoding="utf-8")
        assert re.search(rf"^(class|def) {name}\b", source, re.MULTILINE), (name, link)


def test_every_public_name_has_a_summary_and_a_paper_where_required():
    for package, name in NAMES:
        documented = getattr(importlib.import_module(package), name)
        assert summary(name, documented).endswith(".")
        assert paper(name, documented, required=False) or package not in REFERENCED, name


def test_a_row_shows_required_arguments_summary_and_paper():
    assert call("Documented", Documented) == "Documented(units, names, ...)"
    assert call("identity", lambda x: x) == "identity(x)"
    assert call("default", lambda x=1: x) == "default(...)"
    assert summary("Documented", Documented) == "Does one thing."
    assert paper("Documented", Documented) == "Someone and Other, 1999"


def test_more_than_three_authors_are_shortened_to_the_first():
    text = "Does.\n\nReference:\n    A, van B and C, 2001, x.\n"
    assert paper("it", with_docstring(text)) == "A, van B and C, 2001"
    assert paper("it", with_docstring(text.replace("A,", "A, D,"))) == "A et al., 2001"


@pytest.mark.parametrize(
    "text",
    [None, "", "does.", "Does", "Does one thing. Does another.", "Does one thing\nand another."],
)
def test_a_docstring_must_begin_with_one_sentence(text):
    message = error_of(summary, "dlrecipes.layers.Thing", with_docstring(text))
    assert message == (
        "dlrecipes.layers.Thing: the docstring must begin with one sentence on one line."
    )


@pytest.mark.parametrize(
    "text",
    [None, "Does.", "Does.\n\nReference:\n    The book.", 'Does.\n\nReference:\n    "A", 1999'],
)
def test_a_reference_must_begin_with_authors_and_year(text):
    message = error_of(paper, "dlrecipes.layers.Thing", with_docstring(text))
    assert message == "dlrecipes.layers.Thing: its Reference must begin with authors and year."


def test_an_optional_reference_may_be_missing():
    assert paper("it", with_docstring("Does."), False) == ""


def test_names_are_sorted_within_their_groups():
    assert grouped("dlrecipes.losses", SECTIONS["dlrecipes.losses"][1])["Embeddings"] == [
        "contrastive_loss",
        "triplet_loss",
    ]
    assert set(grouped("dlrecipes.metrics", {})) == {""}


@pytest.mark.parametrize(
    "names, message",
    [
        ("contrastive_loss", "losses.triplet_loss in one group, got no group"),
        ("contrastive_loss triplet_loss no_loss", "lists no_loss, which dlrecipes.losses does not"),
        (
            "contrastive_loss triplet_loss triplet_loss",
            "losses.triplet_loss in one group, got several groups",
        ),
    ],
)
def test_groups_must_hold_each_name_of_the_package_once(names, message):
    groups = {**SECTIONS["dlrecipes.losses"][1], "Embeddings": names}
    assert message in error_of(grouped, "dlrecipes.losses", groups)


def test_the_command_writes_the_page_or_reports_the_error_on_one_line(tmp_path, monkeypatch):
    losses = {"dlrecipes.losses": SECTIONS["dlrecipes.losses"]}
    monkeypatch.setattr(library_page, "SECTIONS", losses)
    monkeypatch.setattr(library_page, "PAGE", tmp_path / "library.md")
    monkeypatch.setattr(speed_page, "PAGE", tmp_path / "speed.md")
    monkeypatch.setattr(readme, "sources", list)
    monkeypatch.setattr("sys.argv", ["readme"])
    readme.main()
    assert (tmp_path / "library.md").read_text(encoding="utf-8") == page()
    assert (tmp_path / "speed.md").is_file()
    monkeypatch.setattr(library_page, "SECTIONS", {"dlrecipes.losses": ("Losses", {"All": ""})})
    with pytest.raises(SystemExit) as ended:
        readme.main()
    assert "got no group" in ended.value.code
