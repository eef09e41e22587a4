"""No text of a figure is drawn as boxes, whatever its script."""

import warnings

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlrecipes.figures import bars, confusion, fit_fonts, fonts, save, tagged_sentences
from dlrecipes.figures.fonts import drawable

SCRIPTS = {
    "simplified": "明月几时有",
    "traditional": "舉頭望明月",
    "korean": "한국 고양이",
    "emoji": "cat 🐱👍🏽",
    "thai": "แมว",
    "invisible": "Ro\u200bme \ufe0f",
    "latin": "Österreich",
    "private": "\ue123",
}


@pytest.fixture(autouse=True)
def boxes_are_errors():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing")
        yield


@pytest.fixture
def only_latin(monkeypatch):
    """Hides every font but matplotlib's default one."""
    monkeypatch.setattr(fonts, "_font_files", lambda: iter(()))
    fonts._fallbacks.cache_clear()
    yield
    fonts._fallbacks.cache_clear()


def figure_of(text):
    figure = Figure()
    axes = figure.subplots()
    axes.set(title=text, xlabel=text, ylabel=text)
    axes.set_xticks([0, 1], labels=[text, "b"])
    axes.set_yticks([0, 1], labels=["a", text])
    axes.plot([0, 1], label=text)
    axes.legend(title=text)
    axes.annotate(text, (0, 0))
    figure.suptitle(text)
    return figure


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_text_of_any_figure_has_boxes(tmp_path, script):
    text = SCRIPTS[script]
    save(tmp_path, "all", figure_of(text))
    save(tmp_path, "bars", bars({text: 0.5, "b": 1.0}, text))
    save(tmp_path, "confusion", confusion(np.eye(2, dtype=int), [text, "b"], text))
    save(tmp_path, "words", tagged_sentences([[text]], [["O"]], [[f"B-{text}"]]))


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_font_no_text_has_boxes_either(tmp_path, only_latin, script):
    save(tmp_path, "all", figure_of(SCRIPTS[script]))
    save(tmp_path, "words", tagged_sentences([[SCRIPTS[script]]], [["O"]], [["O"]]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Österreich", "Österreich"),
        ("北京!", "[U+5317 U+4EAC]!"),
        ("한국", "[han gug]"),
        ("my 🤖", "my [robot face]"),
        ("a\ue123", "a[U+E123]"),
        ("Ro\u180bme", "Rome"),
    ],
)
def test_characters_that_no_font_has_are_written_by_name(only_latin, text, written):
    assert drawable(text) == written
    figure = figure_of(text)
    fit_fonts(figure)
    axes = figure.axes[0]
    assert axes.get_title() == written
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [written, "b"]


def test_chinese_is_drawn_with_the_font_of_a_dependency():
    assert drawable("明月舉頭") == "明月舉頭"
    paths = fonts._fallbacks(frozenset("明月"))
    assert [font_manager.get_font(path).family_name for path in paths] == ["Noto Sans SC"]


def test_texts_in_latin_letters_keep_their_font():
    figure = figure_of("Österreich")
    fit_fonts(figure)
    assert figure.axes[0].title.get_fontfamily() == ["sans-serif"]


def test_dollars_in_words_and_names_are_drawn_unchanged(tmp_path):
    # As a formula this one ends a run after its training: \foo is unknown.
    formula = r"$\foo$"
    figures = [
        tagged_sentences([[formula]], [["O"]], [[f"B-{formula}"]]),
        bars({formula: 0.5, "b": 1.0}, formula),
        confusion(np.eye(2, dtype=int), [formula, "北京"], formula),
    ]
    for name, figure in enumerate(figures):
        save(tmp_path, str(name), figure)
        texts = {text.get_text() for text in figure.findobj(Text) if not text.get_parse_math()}
        assert texts & {formula, f"B-{formula}"}


def test_powers_on_logarithmic_axes_stay_formulas():
    figure = Figure()
    axis = figure.subplots()
    axis.loglog([1, 10, 1000], [1, 2, 3000])
    fit_fonts(figure)
    figure.canvas.draw()
    assert all(label.get_parse_math() for label in axis.get_xticklabels() if label.get_text())
