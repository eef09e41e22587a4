"""Text is drawn in a font that has its letters; letters that no font has are named."""

import pytest

from dlrecipes.figures import _pillow_text


@pytest.fixture(autouse=True)
def no_letter_is_remembered():
    _pillow_text._font_of.cache_clear()
    yield
    _pillow_text._font_of.cache_clear()


def test_a_long_label_is_cut_before_its_score():
    end = _pillow_text._fitted("cat " * 100, " 0.97", 12, 150)
    text = "".join(part for _, part in end)
    assert text.endswith("… 0.97") and text.startswith("cat cat")
    assert sum(font.getlength(part) for font, part in end) <= 150
    assert _pillow_text._fitted("cat", " 0.97", 12, 3) == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Österreich", "Österreich"),
        ("красный", "красный"),
        ("北京", "北京"),
        ("a\ue123", "a[U+E123]"),
        ("cat \U0001fae0", "cat [melting face]"),
    ],
)
def test_a_label_of_any_script_is_written_and_never_boxes(monkeypatch, text, written):
    monkeypatch.setattr(_pillow_text, "_installed", lambda: ())
    assert _pillow_text._drawable(text) == written


def test_a_letter_without_a_font_is_named_even_without_matplotlibs_font(monkeypatch):
    monkeypatch.setattr(_pillow_text, "_installed", lambda: ())
    monkeypatch.setattr(_pillow_text, "_bundled", lambda: ("",))
    assert _pillow_text._drawable("cat 北") == "cat [U+5317]"
    assert _pillow_text.text_image("cat 北", 20, "black", 400).width > 100
