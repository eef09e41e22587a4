"""Readers of datasets of tagged sentences: folders of parts, or one file that is split."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlrecipes.data.parts import PARTS, find_parts
from dlrecipes.data.tag_columns import LAST, Columns, choose_columns, filled, shown
from dlrecipes.data.tag_schemes import BARE, SCHEMES, TAG, TagError, detect_scheme, to_bio
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.data.tagged_files import (
    INVISIBLE,
    ColumnFile,
    ReadSentence,
    read_sequences,
    read_tagged_file,
)
from dlrecipes.errors import DataError, nearest, raise_first

# The slot of tags that are B, I and O alone.
UNNAMED = "span"

_LAYOUTS = (
    "Give a folder with train/, valid/ and test/ that hold seq.in and seq.out, "
    "a folder with train.txt, valid.txt and test.txt in CoNLL columns, or one such file."
)
_TAG_HINT = (
    "A tag is O, or a prefix and a slot name, such as B-city, I-city (E-, S-, L-, U-, M-, W-)."
)
# As in Weibo NER.
_NUMBERED = re.compile(r"[\u3400-\u9fff]\d")
# Names of files about the data.
_ABOUT = {"readme", "license", "licence", "notice", "changelog", "citation"}
# Names of the tags in the header of a table.
_HEADERS = {"tag", "tags", "label", "labels", "ner", "nertag", "nertags", "slot", "slots", "bio"}
# Extensions of files that hold no sentences, even if their names mention a part.
_OTHER_FILES = {
    *(".md", ".rst", ".py", ".sh", ".log", ".html", ".pdf", ".yaml", ".yml", ".toml", ".cfg"),
    *(".zip", ".tar", ".tgz", ".npy", ".npz", ".pkl", ".pt", ".h5", ".bin", ".png", ".jpg"),
}


def read_tagged(
    path: str | os.PathLike,
    seed: int = 0,
    word_column: int = 0,
    tag_column: int = 0,
    notes: list[str] | None = None,
    problems: list[DataError] | None = None,
) -> tuple[list[TaggedSentence], list[TaggedSentence], list[TaggedSentence]]:
    """Reads the training, validation and test sentences of a dataset, with BIO tags.

    Three layouts are read:

    - A folder with subfolders `train`, `valid` and `test`, each with `seq.in` (one sentence per
      line, words separated by spaces), `seq.out` (their tags) and, optionally, `label` (one intent
      per line), or with a single file.
    - A folder with a file for each part; see below.
    - A single file, or a single folder with `seq.in` and `seq.out`.

    Names of parts are those of `dlrecipes.data.parts.part_of`. The third layout is split: a tenth
    of the sentences, at least one, becomes validation, and another tenth becomes test. In a folder
    with only train and test, a tenth of train becomes validation. The choice depends only on
    `seed`, and the order is kept.

    A file is one of these; which one is detected:

    - CoNLL columns, with a word and its tag on each line and blank lines between sentences; see
      `dlrecipes.data.tag_columns` for the columns. A comment `# intent: x` before a sentence gives
      its intent, as does a last line with a single column (MixATIS); other comments, and
      `-DOCSTART-` lines, are skipped. Lines such as `# O`, whose last column is a tag, are words.
    - One sentence per line: words, a tab, their tags and, optionally, the intent; `BOS` and `EOS`
      around the words are left out (ATIS).
    - JSON lines with `tokens`, `tags` and, optionally, `intent`.
    - A table in CSV or TSV with a header; see `dlrecipes.data.tagged_tables`.

    The tagging scheme is detected over the whole dataset (`detect_scheme`), and tags are converted
    to BIO. Tags without a slot (`B`, `I`, `O`) get the slot `"span"`. Only ASCII spaces and tabs
    separate words.

    Args:
        path: Folder or file to read.
        seed: Seed of the split. Defaults to 0.
        word_column: Column of the words in CoNLL files, from 1. Defaults to 0: it is found.
        tag_column: Column of the tags in CoNLL files, from 1. Defaults to 0: it is found.
        notes: List that receives sentences for the user about what was detected, split off or
            left out. Defaults to `None`: they are dropped.
        problems: List that receives what is wrong with the file of a part, which is then empty.
            Defaults to `None`: it is raised.

    Returns:
        Training, validation and test sentences.

    Raises:
        DataError: If something is missing or does not parse, with file and line in the message, or
            the training sentences have no slot.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.tagged_text import read_tagged
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "cities.txt")
    ...     _ = path.write_text("to O\\nRome S-city\\n\\nOslo S-city\\n\\nnow O\\n")
    ...     train, validation, test = read_tagged(path, seed=1)
    >>> sorted(sentence.tags for sentence in train + validation + test)
    [('B-city',), ('O',), ('O', 'B-city')]
    """
    root = Path(path)
    notes = [] if notes is None else notes
    try:
        splits = _read_splits(root, seed, (word_column, tag_column), notes, problems)
    except OSError as error:
        raise _unreadable(error, root) from None
    train, validation, test = _as_bio(splits, notes)
    if not problems:
        _check_slots(root, (train, validation, test), notes)
    return train, validation, test


def _read_splits(
    root: Path,
    seed: int,
    columns: tuple[int, int],
    notes: list[str],
    problems: list[DataError] | None,
) -> list[list[ReadSentence]]:
    if not root.exists():
        raise _missing(root)
    if not root.is_dir():
        if root.name in ("seq.in", "seq.out", "label"):
            hint = f"Give the folder, {root.parent}."
            raise DataError(f"{root} is only a part of its dataset.", hint)
        return _split_off(_read_parts({"all": root}, columns, notes)["all"], 2, seed, root, notes)
    flat = next((path.name for path in sorted(root.glob("*?seq.in"))), None)
    if flat:
        hint = "Put seq.in, seq.out and label into folders train/, valid/ and test/."
        raise DataError(f"{root}: {flat} is not in a folder of its part.", hint)
    parts = find_parts(root, _may_hold_sentences)
    if parts.ignored:
        notes.append(f"{root}: ignored, because their names are unclear: {parts.note}.")
    if "train" not in parts.paths:
        if any((root / name).exists() for name in ("seq.in", "seq.out")):
            return _split_off(read_sequences(root, notes), 2, seed, root, notes)
        raise _no_train(root)
    if "test" not in parts.paths:
        hint = f"Add it, or give only {parts.paths['train']}, which is then split 80/10/10."
        raise DataError(f"{root} has no test data (test).", hint)
    splits = _read_parts(parts.paths, columns, notes, problems)
    if "validation" not in splits and not splits["train"]:
        splits["validation"] = []
    if "validation" not in splits:
        source = parts.paths["train"]
        known = {*parts.paths.values(), *parts.ignored}
        others = [path.name for path in _siblings(source) if path not in known]
        if others:
            notes.append(f"{root}: not read, because no part has this name: {', '.join(others)}.")
        splits["train"], splits["validation"] = _split_off(splits["train"], 1, seed, source, notes)
    return [splits[name] for name in PARTS]


def _siblings(path: Path) -> list[Path]:
    """Returns the files, or folders, next to a part that may hold sentences as well."""
    return [
        entry
        for entry in sorted(path.parent.iterdir())
        if entry.name[0] != "." and _may_hold_sentences(entry) and entry.is_dir() == path.is_dir()
    ]


def _may_hold_sentences(path: Path) -> bool:
    if path.is_dir():
        return True
    return path.suffix.lower() not in _OTHER_FILES and path.stem.lower() not in _ABOUT


def _read_parts(
    paths: dict[str, Path],
    columns: tuple[int, int],
    notes: list[str],
    problems: list[DataError] | None = None,
) -> dict[str, list[ReadSentence]]:
    """Returns the sentences of each part; the first file in columns determines the columns.

    All parts are read, so that the problems of one do not hide those of the next.
    """
    wrong: list[DataError] = []

    def read(reader: Callable[[Any], Any], source: Any) -> Any:
        try:
            return reader(source)
        except OSError as error:
            wrong.append(_unreadable(error, source))
        except DataError as error:
            wrong.append(error)
        return []

    sources = {
        part: read(lambda path: _read_part(path, notes), path) for part, path in paths.items()
    }
    files = [file for file in sources.values() if isinstance(file, ColumnFile)]
    if not files and any(columns):
        raise DataError(
            "--word-column and --tag-column are for files in CoNLL columns.",
            f"{next(iter(paths.values()))} is not one: leave them out, or give 0 for each to "
            "evaluate a model that was trained with them.",
        )
    chosen = Columns(0, LAST)
    if files:
        chosen = choose_columns(files[0].path, files[0].sentences, *columns)
    sentences = {
        part: read(lambda file: file.read(chosen), source)
        if isinstance(source, ColumnFile)
        else source
        for part, source in sources.items()
    }
    if problems is None or not any(sentences.values()):
        raise_first(wrong)
    else:
        problems += wrong
    if files:
        rows = [row for file in files for sentence in file.sentences for row, _ in sentence]
        if max(map(filled, rows)) > 2 or any(columns) or chosen.word > 0:
            notes.append(chosen.describe(files[0].path, files[0].sentences))
    return sentences


def _missing(root: Path) -> DataError:
    if not root.parent.is_dir():
        return DataError(f"{root} does not exist.", f"Nor does the folder {root.parent}.")
    near = nearest(root.name, sorted(entry.name for entry in root.parent.iterdir()))
    return DataError(f"{root} does not exist.", near or _LAYOUTS)


def _unreadable(error: OSError, root: Path) -> DataError:
    reason = (error.strerror or type(error).__name__).lower()
    is_folder = isinstance(error, IsADirectoryError)
    hint = "Expected a file, got a folder." if is_folder else "Check the permissions."
    return DataError(f"{error.filename or root} cannot be read: {reason}.", hint)


def _no_train(root: Path) -> DataError:
    names = sorted(entry.name for entry in root.iterdir())
    if not names:
        return DataError(f"{root} is empty.", _LAYOUTS)
    hint = f"{nearest('train', names)} {_LAYOUTS}".strip()
    return DataError(f"{root} has no training data (train).", hint)


def _split_off(
    sentences: list[ReadSentence], parts: int, seed: int, source: Path, notes: list[str]
) -> list[list[ReadSentence]]:
    """Returns the remaining sentences, then `parts` parts of a tenth, at least one sentence."""
    if len(sentences) <= parts:
        raise DataError(
            f"{source} holds too few sentences to split: {len(sentences)}.",
            f"At least {parts + 1} are needed. Is a blank line between sentences missing?",
        )
    order = list(range(len(sentences)))
    random.Random(seed).shuffle(order)
    size = max(1, len(sentences) // 10)
    cuts = [order[parts * size :], *(order[k * size : (k + 1) * size] for k in range(parts))]
    names = "validation and test are" if parts == 2 else "validation is"
    each = " each" if parts == 2 else ""
    notes.append(
        f"{source}: {names} split off, {size:,} of {len(sentences):,} sentences{each}, by --seed."
    )
    return [[sentences[index] for index in sorted(cut)] for cut in cuts]


def _read_part(path: Path, notes: list[str]) -> list[ReadSentence] | ColumnFile:
    if not path.is_dir():
        return read_tagged_file(path, notes)
    files = [entry for entry in path.iterdir() if entry.is_file() and entry.name[0] != "."]
    files = [entry for entry in files if _may_hold_sentences(entry)]
    if len(files) == 1 and files[0].name not in ("seq.in", "seq.out", "label"):
        return read_tagged_file(files[0], notes)
    return read_sequences(path, notes)


def _as_bio(splits: list[list[ReadSentence]], notes: list[str]) -> list[list[TaggedSentence]]:
    splits = _with_slots(splits, notes)
    everything = [sentence for split in splits for sentence in split]
    raise_first(
        DataError(
            f"{sentence.at(k)}: {_tag_text(sentence, k)} does not parse.",
            _TAG_HINT + (" Delete the header." if _is_header(sentence, k) else ""),
        )
        for sentence in everything
        for k, tag in enumerate(sentence.tags)
        if not TAG.fullmatch(tag)
    )
    scheme = detect_scheme(sentence.tags for sentence in everything)
    if scheme != "BIO":
        notes.append(f"The tags are read as {scheme}.")
    problems: list[DataError] = []
    converted: list[list[TaggedSentence]] = []
    for split in splits:
        converted.append([])
        for sentence in split:
            try:
                tags = to_bio(sentence.tags, scheme)
            except TagError as error:
                message = f"{sentence.at(error.position)}: {error} (word {error.position + 1})."
                problems.append(DataError(message))
                continue
            converted[-1].append(TaggedSentence(sentence.tokens, tags, sentence.intent))
    if problems:
        hint = _scheme_evidence(scheme, everything)
        raise_first(DataError(problem.message, hint) for problem in problems)
    return converted


def _is_header(sentence: ReadSentence, k: int) -> bool:
    return sentence.lines[k] == 1 and re.sub(r"\W|_", "", sentence.tags[k]).casefold() in _HEADERS


def _tag_text(sentence: ReadSentence, k: int) -> str:
    return f"the tag {shown(sentence.tags[k])} of word {k + 1}, {shown(sentence.tokens[k])},"


def _scheme_evidence(scheme: str, sentences: list[ReadSentence]) -> str:
    """Returns a hint that names the tag that implies `scheme`, which may itself be the mistake."""
    marks = set(SCHEMES[scheme]) - set(SCHEMES["BIO"])
    for sentence in sentences:
        for k, tag in enumerate(sentence.tags):
            if tag[0] in marks:
                return f"The dataset is read as {scheme} because of {tag!r} at {sentence.at(k)}."
    return ""


def _with_slots(splits: list[list[ReadSentence]], notes: list[str]) -> list[list[ReadSentence]]:
    """Gives tags without a slot, if all are such, the slot `UNNAMED`."""
    tags = {tag for split in splits for sentence in split for tag in sentence.tags}
    if not tags <= BARE or tags <= {"O"}:
        return splits
    shown = ", ".join(sorted(tags - {"O"}))
    notes.append(f"The tags {shown} name no slot: it is called {UNNAMED!r}.")
    named = {tag: tag if tag == "O" else f"{tag}-{UNNAMED}" for tag in tags}
    return [
        [replace(s, tags=tuple(named[tag] for tag in s.tags)) for s in split] for split in splits
    ]


def _check_slots(root: Path, splits: tuple[list[TaggedSentence], ...], notes: list[str]) -> None:
    without = sum(sentence.intent is None for sentence in splits[0])
    if 0 < without < len(splits[0]):
        lack = "lacks" if without == 1 else "lack"
        notes.append(
            f"{without:,} of {len(splits[0]):,} training sentences {lack} an intent: "
            "intents are not learned."
        )
    for part, split in zip(PARTS, splits, strict=True):
        if any(tag != "O" for sentence in split for tag in sentence.tags):
            continue
        if part == "train":
            raise DataError(
                f"{root}: none of the {len(split):,} training sentences has a slot: "
                "every tag is O.",
                "Give sentences with tags such as B-city, or name the column: --tag-column.",
            )
        notes.append(f"The {part} sentences have no slot: their span F1 says nothing.")
    words = {token for s in splits[0] for token in s.tokens}
    numbered = [word for word in words if _NUMBERED.fullmatch(word)]
    if 2 * len(numbered) > len(words):
        notes.append(
            f"Most words are a Chinese character and its position in a word, such as "
            f"{min(numbered)!r}: the digit stays, and belongs to every input of the model."
        )
    invisible = [
        token for split in splits for s in split for token in s.tokens if INVISIBLE.search(token)
    ]
    if invisible:
        notes.append(
            f"Words with invisible characters stay as they are: {len(invisible):,}, such as "
            f"{invisible[0]!a}."
        )
