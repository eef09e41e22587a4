import configparser
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dlrecipes.data.quatrains import THEMES, quatrains
from dlrecipes.data.quatrains.lexicon import KINDS, WIDTHS, rhyme, tone, words
from dlrecipes.data.quatrains.prosody import tones
from dlrecipes.data.quatrains.rhyme_book import LEVEL_RHYMES, rhymes
from dlrecipes.errors import UsageError

# Wang Li's four kinds of line; the first, third and fifth characters are free within the rules.
LINES = {
    5: {"a": "?Z?PZ", "b": "PP?ZP", "c": "?P?ZZ", "d": "?ZZPP"},
    7: {"a": "?P?Z?PZ", "b": "?ZPP?ZP", "c": "?Z?P?ZZ", "d": "?P?ZZPP"},
}
ORDERS = ("abcd", "dbcd", "cdab", "bdab")


def keeps(line, pattern):
    return all(t == "?" or t in tones(c) for c, t in zip(line, pattern, strict=True))


def is_regulated(lines):
    kinds = LINES[len(lines[0])]
    for order in ORDERS:
        if all(keeps(line, kinds[kind]) for line, kind in zip(lines, order, strict=True)):
            rhyming = [lines[k][-1] for k in (0, 1, 3) if order[k] in "bd"]
            if LEVEL_RHYMES.intersection(*map(rhymes, rhyming)):
                return len(set(rhyming)) == len(rhyming)
    return False


@pytest.fixture(scope="module", params=[5, 7])
def poems(request):
    return quatrains(3000, seed=1, length=request.param)


def test_every_poem_passes_an_independent_check(poems):
    assert [poem for poem in poems if not is_regulated(poem.lines)] == []


def test_the_independent_check_rejects_unregulated_poems():
    assert is_regulated(["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"])
    assert not is_regulated(["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"])
    assert not is_regulated(["白日依山尽", "黄河入海来", "欲穷千里目", "更上一层楼"])


def test_thousands_of_poems_are_all_different(poems):
    assert len({poem.lines for poem in poems}) == len(poems) == 3000


def test_poems_consist_of_many_different_lines(poems):
    lines = [line for poem in poems for line in poem.lines]
    assert len(set(lines)) > 0.7 * len(lines)
    assert Counter(lines).most_common(1)[0][1] < 0.005 * len(lines)


def test_all_themes_and_templates_occur(poems):
    themes = Counter(poem.theme for poem in poems)
    assert set(themes) == set(THEMES)
    assert min(themes.values()) > 0.08 * len(poems)
    kinds = LINES[len(poems[0].lines[0])]
    orders = Counter(
        order
        for poem in poems
        for order in ORDERS
        if all(keeps(*pair) for pair in zip(poem.lines, map(kinds.get, order), strict=True))
    )
    assert min(orders[order] for order in ORDERS) > 0.1 * len(poems)


def test_poems_repeat_characters_only_within_a_word(poems):
    doubled = {c for word in words() for c in word.text if word.text.count(c) > 1}
    for poem in poems:
        counts = Counter("".join(poem.lines))
        assert {c for c, n in counts.items() if n > 1} <= doubled


def test_poems_depend_on_the_seed():
    assert quatrains(40, 3) == quatrains(40, 3)
    assert not set(quatrains(40, 3)) & set(quatrains(40, 4))
    assert quatrains(60, 3)[:40] == quatrains(40, 3)


def test_poems_do_not_depend_on_the_hash_seed():
    program = (
        "from dlrecipes.data.quatrains import quatrains;"
        "print(ascii([p.lines for n in (5, 7) for p in quatrains(30, 2, n)]))"
    )
    # Not the seed of this process.
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    output = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": seed},
    ).stdout
    poems = ascii([poem.lines for length in (5, 7) for poem in quatrains(30, 2, length)])
    assert output.decode().strip() == poems


@pytest.mark.parametrize("theme", THEMES)
def test_poems_on_a_theme_use_its_words(theme):
    own = {w.text for w in words() if w.themes != THEMES and theme in w.themes}
    poems = quatrains(300, 0, 7, theme)
    assert {poem.theme for poem in poems} == {theme}
    for poem in poems:
        assert sum(word in line for line in poem.lines for word in own) >= 3


def test_themes_differ_in_their_words():
    words_of = {
        theme: Counter(
            line[k : k + 2] for p in quatrains(400, 0, 7, theme) for line in p.lines for k in (2,)
        )
        for theme in THEMES
    }
    for theme, counts in words_of.items():
        for other in set(THEMES) - {theme}:
            shared = sum((counts & words_of[other]).values())
            assert shared < 0.6 * counts.total()


def test_composing_is_quick():
    quatrains(10, 0, 5)
    start = time.process_time()
    quatrains(3000, 7, 5)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "Cannot compose 0 quatrains. Give at least 1."),
        ({"length": 6}, "A line cannot have 6 characters. Give 5 or 7."),
        ({"theme": "mooonlight"}, "Did you mean 'moonlight'?"),
        ({"theme": "computers"}, "Unknown theme 'computers'; the themes are landscape"),
    ],
)
def test_invalid_arguments_are_rejected_in_one_line(options, message):
    with pytest.raises(UsageError) as caught:
        quatrains(**{"count": 1, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lexicon_that_cannot_fill_any_template_is_reported(monkeypatch):
    from dlrecipes.data.quatrains import composed

    monkeypatch.setattr(composed, "words", lambda: words()[:5])
    composed._pool.cache_clear()
    try:
        with pytest.raises(UsageError, match="yields no more than 0 different quatrains"):
            quatrains(1)
    finally:
        composed._pool.cache_clear()


def test_the_lexicon_is_large_and_well_formed():
    entries = words()
    assert len(entries) > 1500
    assert len({(word.text, word.slot) for word in entries}) == len(entries)
    for word in entries:
        assert len(word.text) == WIDTHS[word.slot]
        assert word.themes
        assert set(word.themes) <= set(THEMES)
        assert set(word.kinds) <= set(KINDS)
        assert bool(word.kinds) == (word.slot in ("subject", "predicate"))
    for theme in THEMES:
        assert sum(word.themes != THEMES and theme in word.themes for word in entries) > 100


def test_the_intended_reading_is_one_of_a_characters_readings():
    for character in {c for word in words() for c in word.text}:
        assert {tone(character)} <= tones(character)
        assert rhyme(character) == -1 or rhyme(character) in rhymes(character)


def test_the_lexicon_file_is_packaged():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[3] / "setup.cfg")
    assert "*.txt" in setup["options.package_data"]["dlrecipes.data.quatrains"]


def test_almost_every_word_of_the_lexicon_is_used():
    text = "\n".join(str(p) for n in (5, 7) for p in quatrains(12000, 5, n))
    missing = [word.text for word in words() if word.text not in text]
    assert len(missing) < 0.01 * len(words())
