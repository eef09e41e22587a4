import itertools
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlrecipes.data.generated import travel
from dlrecipes.data.generated.travel import chinese, english, travel_queries
from dlrecipes.data.generated.travel.grammar import Draft, Grammar, Words
from dlrecipes.data.tagged import NO_INTENT
from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import UsageError

SOURCES = {"english": english, "chinese": chinese}
HAN = "\u4e00-\u9fff"
HAND_WRITTEN = Path(__file__).resolve().parents[2] / "recipes" / "data" / "travel_queries"


@pytest.fixture(scope="module", params=["english", "chinese"])
def language(request):
    return request.param


@pytest.fixture(scope="module")
def splits(language):
    return travel_queries(language)


def tokenise(text: str) -> list[str]:
    """Tokenises a sentence by the same rule as users' sentences."""
    text = re.sub(f"([{HAN}])", r" \1 ", text)
    text = re.sub(r"([,;!?，。！？；、]+)(?=\s|$)", lambda m: " " + " ".join(m[1]) + " ", text)
    words = text.split()
    last = words[-1]
    if last.endswith(".") and len(last) > 2 and "." not in last[:-1]:
        words[-1:] = [last[:-1], "."]
    return words


def spans(sentence) -> list[tuple[str, tuple[str, ...]]]:
    values = []
    for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
        if tag.startswith("B-"):
            values.append((tag[2:], [token]))
        elif tag.startswith("I-"):
            values[-1][1].append(token)
    return [(slot, tuple(words)) for slot, words in values]


def declared_slots(source) -> set[str]:
    text = " ".join(source.GRAMMAR.rules.values())
    slots = set(re.findall(r"\{(\w+):", text))
    keys = set(re.findall(r"<(?:s_)?(?:when|day|hours|moment):(\w+)>", text))
    of_keys = {f"{key}_{part}" for key in keys for part in re.findall(r"\{\$_(\w+):", text)}
    # The symbols of a return have a date but no time.
    return slots | (of_keys - {"return_time"})


def contains(sentence, phrase: tuple[str, ...]) -> bool:
    words = tuple(token.lower() for token in sentence.tokens)
    lowered = tuple(token.lower() for token in phrase)
    width = len(lowered)
    return any(words[i : i + width] == lowered for i in range(len(words) - width + 1))


def held_out(source) -> list[tuple[str, ...]]:
    return [phrase for phrases in source.GRAMMAR.new.values() for phrase in phrases]


def test_same_seed_gives_the_same_sentences(language):
    sizes = (50, 10, 20)
    assert travel_queries(language, 3, sizes) == travel_queries(language, 3, sizes)
    assert travel_queries(language, 3, sizes) != travel_queries(language, 4, sizes)


def test_sentences_do_not_depend_on_the_hash_seed(language):
    program = (
        "from dlrecipes.data.generated.travel import travel_queries;"
        f"print(ascii(travel_queries({language!r}, 1, (30, 5, 5))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {(ascii(travel_queries(language, 1, (30, 5, 5))) + "\n").encode()}


def test_training_sentences_do_not_depend_on_the_other_sizes(language):
    small, large = (travel_queries(language, 0, (40, n, n))[0] for n in (1, 30))
    assert small == large


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 5, 3), (300, 20, 40)])
def test_sizes_are_honoured(language, sizes):
    assert tuple(map(len, travel_queries(language, sizes=sizes))) == sizes


def test_no_sentence_occurs_twice_ignoring_case_and_stop(splits):
    everything = [text for part in splits for text in texts(part)]
    assert len(everything) == len(set(everything))


def test_tags_are_well_formed_bio(splits):
    for part in splits:
        for sentence in part:
            assert len(sentence.tokens) == len(sentence.tags) > 0
            for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
                assert tag == "O" or tag[:2] in ("B-", "I-")
                if tag.startswith("I-"):
                    assert before[2:] == tag[2:]


def texts(sentences) -> list[str]:
    return [" ".join(s.tokens).lower().rstrip(" .!?。？") for s in sentences]


def test_every_slot_and_intent_occurs_in_each_split(language, splits):
    slots = declared_slots(SOURCES[language])
    intents = {*SOURCES[language].INTENTS, NO_INTENT}
    assert len(slots) >= 9
    assert len(intents) >= 6
    for part in splits:
        assert {slot for sentence in part for slot, _ in spans(sentence)} == slots
        assert {sentence.intent for sentence in part} == intents


def test_held_out_phrases_are_absent_from_training(language, splits):
    train = [" " + " ".join(s.tokens).lower() + " " for s in splits[0]]
    for phrase in held_out(SOURCES[language]):
        needle = " " + " ".join(phrase).lower() + " "
        assert not any(needle in text for text in train), phrase


def test_28_percent_of_test_queries_contain_a_held_out_phrase(language, splits):
    _, validation, test = splits
    phrases = held_out(SOURCES[language])
    queries = [s for s in test if s.intent != NO_INTENT]
    with_new = sum(any(contains(s, phrase) for phrase in phrases) for s in queries)
    # Three standard deviations of a binomial fraction of 0.28 in 880 are 0.046.
    assert abs(with_new / len(queries) - 0.28) < 0.046
    assert any(contains(s, phrase) for phrase in phrases for s in validation)


def test_validation_uses_half_of_the_held_out_phrases(language, splits):
    used = [
        {phrase for phrase in SOURCES[language].GRAMMAR.new["city"] if contains(s, phrase)}
        for s in splits[1]
    ]
    assert set().union(*used) <= set(SOURCES[language].GRAMMAR.new["city"][::2])


def test_40_percent_of_training_queries_contain_an_invented_name(language, monkeypatch):
    names = []

    def invented(grammar, name, rng):
        names.append(name)
        return [("\u9f98",)]

    monkeypatch.setattr(travel, "_invented", invented)
    train, validation, _ = travel_queries(language)
    assert set(names) == set(SOURCES[language].GRAMMAR.new)
    queries = [s for s in train if s.intent != NO_INTENT]
    with_new = sum("\u9f98" in s.tokens for s in queries)
    # Three standard deviations of a binomial fraction of 0.4 in 3,520 are 0.025.
    assert abs(with_new / len(queries) - 0.4) < 0.025
    assert not any("\u9f98" in s.tokens for s in validation)


def test_wording_is_uncommon_in_a_quarter_of_training_and_a_tenth_of_other_queries():
    marked = {name: "uncommon" for name in english.GRAMMAR.rules if name.startswith("rare_")}
    assert len(marked) == len(english.INTENTS)
    words = {**english.WORDS, **english.english_other.WORDS}
    grammar = Grammar({**english.GRAMMAR.rules, **marked}, words, lambda word: [word])
    for prefix, fraction in (("train_", 0.25), ("", 0.1)):
        for intent in english.INTENTS:
            drafts = [grammar.draw(prefix + intent, Draft(random.Random(i))) for i in range(1000)]
            count = sum(draft.tokens == ["uncommon"] for draft in drafts)
            # Four standard deviations of a binomial fraction of 0.25 in 1,000 are 0.055.
            assert abs(count / 1000 - fraction) < 0.055


@pytest.mark.parametrize(
    ("word", "article"),
    [
        ("early", "an"),
        ("American", "an"),
        ("uber", "an"),
        ("hour", "an"),
        ("laptop", "a"),
        ("United", "a"),
        ("university", "a"),
        ("one", "a"),
    ],
)
def test_an_article_fits_the_word_after_it(word, article):
    for written in ("a", "an"):
        draft = Draft(random.Random(0), tokens=["with", written, word], tags=["O"] * 3)
        assert english.finish(draft, random.Random(0))
        assert draft.tokens[1] == article


def test_about_a_fifth_of_cities_and_airlines_is_held_out(language):
    grammar = SOURCES[language].GRAMMAR
    for name in ("city", "airline"):
        new, known = len(grammar.new[name]), len(grammar.known[name])
        assert 0.15 < new / (new + known) < 0.3
        assert not set(grammar.new[name]) & set(grammar.known[name])


def test_twelve_percent_of_the_sentences_have_no_intent_and_no_slot(splits):
    for part in splits:
        others = [s for s in part if s.intent == NO_INTENT]
        assert len(others) == round(0.12 * len(part))
        assert all(set(s.tags) == {"O"} for s in others)


def test_the_fraction_without_an_intent_can_be_chosen(language):
    for fraction, count in ((0, 0), (0.5, 30)):
        train = travel_queries(language, 0, (60, 1, 1), fraction)[0]
        assert sum(s.intent == NO_INTENT for s in train) == count
    with pytest.raises(UsageError, match=r"a fraction from 0 to 0\.5"):
        travel_queries(language, 0, (60, 1, 1), 0.6)


def test_no_two_splits_share_a_template_without_an_intent(language):
    rules = SOURCES[language].GRAMMAR.rules
    templates = [
        {line.strip() for line in re.split(r"\n| \| ", rules[f"other_{part}"]) if line.strip()}
        for part in ("train", "validation", "test")
    ]
    assert all(len(lines) >= 20 for lines in templates)
    for first, second in itertools.combinations(templates, 2):
        assert not first & second


def test_the_same_words_fill_different_slots(splits):
    slots_of: dict[tuple[str, ...], set[str]] = {}
    for sentence in splits[0]:
        for slot, words in spans(sentence):
            slots_of.setdefault(words, set()).add(slot)
    for first, second in (
        ("departure_city", "destination_city"),
        ("departure_date", "arrival_date"),
        ("departure_time", "arrival_time"),
    ):
        assert sum({first, second} <= slots for slots in slots_of.values()) >= 10


def test_the_tag_of_a_date_may_depend_on_a_distant_verb():
    tags_of: dict[tuple[str, ...], set[str]] = {}
    for sentence in travel_queries("english", sizes=(8000, 1, 1))[0]:
        for i, tag in enumerate(sentence.tags):
            if tag.startswith("B-") and sentence.tokens[max(0, i - 2) : i] == (",", "on"):
                tags_of.setdefault(sentence.tokens[i], set()).add(tag)
    both = {"B-departure_date", "B-arrival_date"}
    assert sum(both <= tags for tags in tags_of.values()) >= 5


def test_english_vocabulary_has_at_least_500_words():
    train, _, _ = travel_queries("english")
    assert len({token.lower() for sentence in train for token in sentence.tokens}) >= 500


def test_sentences_joined_with_spaces_are_tokenised_back(splits):
    for part in splits:
        for sentence in part:
            assert tuple(tokenise(" ".join(sentence.tokens))) == sentence.tokens


def test_chinese_sentences_without_spaces_are_tokenised_back():
    for part in travel_queries("chinese"):
        for sentence in part:
            assert tuple(tokenise("".join(sentence.tokens))) == sentence.tokens


def test_english_punctuation_may_touch_the_word_before_it():
    for sentence in travel_queries("english")[0]:
        text = re.sub(r" ([,;!?.])(?= |$)", r"\1", " ".join(sentence.tokens))
        assert tuple(tokenise(text)) == sentence.tokens


@pytest.fixture(scope="module")
def hand_written():
    return read_tagged(HAND_WRITTEN)[1:]


def test_200_queries_and_40_others_are_written_by_hand(hand_written):
    for part in hand_written:
        assert sum(s.intent != NO_INTENT for s in part) == 100
        assert sum(s.intent == NO_INTENT for s in part) == 20
        slots = {slot for sentence in part for slot, _ in spans(sentence)}
        assert slots == declared_slots(english)
        assert {s.intent for s in part} == {*english.INTENTS, NO_INTENT}
        for sentence in part:
            assert tuple(tokenise(" ".join(sentence.tokens))) == sentence.tokens


def test_no_template_makes_a_hand_written_sentence(hand_written):
    written = {text for part in hand_written for text in texts(part)}
    assert len(written) == 240
    for part in travel_queries("english", 1, (20_000, 2_000, 2_000)):
        assert not written & set(texts(part))


def test_an_unknown_language_names_the_nearest():
    with pytest.raises(UsageError, match=r"'englsh'.*english, chinese.*Did you mean 'english'\?"):
        travel_queries("englsh")


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, -1, 1), (1, 1), (10**6, 1, 1)])
def test_sizes_out_of_bounds_are_rejected(sizes):
    with pytest.raises(UsageError, match=r"at least 1 each and at most 200,000 together"):
        travel_queries(sizes=sizes)


def test_an_exhausted_grammar_is_an_error(monkeypatch):
    words = {"city": Words("A, B, C"), "airline": Words("D")}
    tiny = Grammar({"book_flight": "fly to {to:city}"}, words, lambda w: [w])
    monkeypatch.setattr(english, "GRAMMAR", tiny)
    monkeypatch.setattr(english, "INTENTS", {"book_flight": 1})
    with pytest.raises(UsageError, match="no more than 3 different sentences"):
        travel_queries(sizes=(4, 1, 1))


def test_grammar_reads_options_orders_keys_and_slots():
    grammar = Grammar(
        {"all": "(a|b) [c] d & <at:late>", "at": "at {$_time:hour}"},
        {"hour": Words("5 pm")},
        lambda word: [word],
    )
    late = "at 5 pm"
    heads = ("a d", "b d", "a c d", "b c d")
    expected = {f"{head} {late}" for head in heads} | {f"{late} {head}" for head in heads}
    drafts = [grammar.draw("all", Draft(random.Random(seed))) for seed in range(300)]
    assert {" ".join(draft.tokens) for draft in drafts} == expected
    tagged = {tuple(zip(draft.tokens, draft.tags, strict=True)) for draft in drafts}
    assert {pair for sentence in tagged for pair in sentence if pair[1] != "O"} == {
        ("5", "B-late_time"),
        ("pm", "I-late_time"),
    }


@pytest.mark.parametrize("rule", ["<missing>", "(a|b", "a)", "[a"])
def test_a_malformed_rule_is_rejected(rule):
    with pytest.raises(ValueError, match=r"bracket|symbol|lacks"):
        Grammar({"all": rule}, {}, lambda word: [word])
