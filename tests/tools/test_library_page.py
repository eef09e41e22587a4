"""The page of the library holds every public name, and nothing that the docstrings do not say."""

import importlib
import re

import pytest

from dlrecipes.errors import DataError
from tools import library_page, readme
from tools.library_page import OF_PAPERS, PAGE, SECTIONS, call, grouped, page, paper, summary

NAMES = [
    (package, name) for package in SECTIONS for name in importlib.import_module(package).__all__
]
each_name = pytest.mark.parametrize("package, name", NAMES, ids=lambda value: value)


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


def refusal(function, *args):
    with pytest.raises(DataError) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "make readme"


@each_name
def test_every_public_name_is_one_row_linked_to_where_it_is_defined(package, name):
    rows = re.findall(rf"^\| \[`{name}\(.*\)`\]\((.*?)\)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == [other for _, other in NAMES].count(name)
    sources = [(PAGE.parent / link).read_text(encoding="utf-8") for link in rows]
    assert any(re.search(rf"^(class|def) {name}\b", text, re.MULTILINE) for text in sources)


@each_name
def test_every_public_name_has_a_sentence_and_what_needs_it_a_paper(package, name):
    documented = getattr(importlib.import_module(package), name)
    assert summary(name, documented).endswith(".")
    assert paper(name, documented, wanted=False) or package not in OF_PAPERS


def test_a_row_says_what_must_be_given_what_it_does_and_whose_it_is():
    assert call("Documented", Documented) == "Documented(units, names, ...)"
    assert call("one", lambda x: x) == "one(x)"
    assert call("none", lambda x=1: x) == "none(...)"
    assert summary("Documented", Documented) == "Does one thing."
    assert paper("Documented", Documented) == "Someone and Other, 1999"


def test_more_than_three_authors_are_the_first_and_others():
    text = "Does.\n\nReference:\n    A, van B and C, 2001, x.\n"
    assert paper("it", with_docstring(text)) == "A, van B and C, 2001"
    assert paper("it", with_docstring(text.replace("A,", "A, D,"))) == "A et al., 2001"


@pytest.mark.parametrize(
    "text",
    [None, "", "does.", "Does", "Does one thing. Does another.", "Does one thing\nand another."],
)
def test_a_docstring_that_does_not_begin_with_one_sentence_is_refused(text):
    message = refusal(summary, "dlrecipes.layers.Thing", with_docstring(text))
    assert message == "dlrecipes.layers.Thing: its docstring must begin with one line, a sentence."


@pytest.mark.parametrize(
    "text",
    [None, "Does.", "Does.\n\nReference:\n    The book.", 'Does.\n\nReference:\n    "A", 1999'],
)
def test_a_reference_without_authors_and_year_is_refused(text):
    message = refusal(paper, "dlrecipes.layers.Thing", with_docstring(text))
    assert message == "dlrecipes.layers.Thing: its Reference must begin with authors and year."


def test_what_needs_no_paper_may_have_none():
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
        ("contrastive_loss", "triplet_loss is in no group of library_page.py"),
        ("contrastive_loss triplet_loss no_loss", "has no no_loss, which library_page.py lists"),
        ("contrastive_loss triplet_loss triplet_loss", "triplet_loss is in several groups"),
    ],
)
def test_groups_that_are_not_those_of_the_package_are_refused(names, message):
    groups = {**SECTIONS["dlrecipes.losses"][1], "Embeddings": names}
    assert message in refusal(grouped, "dlrecipes.losses", groups)


def test_the_command_writes_the_page_or_says_in_one_line_why_not(tmp_path, monkeypatch):
    monkeypatch.setattr(library_page, "PAGE", tmp_path / "library.md")
    monkeypatch.setattr(readme, "sources", list)
    monkeypatch.setattr("sys.argv", ["documents"])
    readme.main()
    assert (tmp_path / "library.md").read_text(encoding="utf-8") == page()
    monkeypatch.setattr(library_page, "SECTIONS", {"dlrecipes.losses": ("Losses", {"All": ""})})
    with pytest.raises(SystemExit) as ended:
        readme.main()
    assert "is in no group" in ended.value.code
