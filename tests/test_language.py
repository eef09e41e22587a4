"""The project's English is plain: phrases that were weeded out once do not come back.

The rules are those of a technical writer: name the thing, say "expected X, got Y", "per" for a
rate, "resume" for a run that continues. README, docs, docstrings, comments, help and messages are
searched for each pattern below; a phrase that is right all the same stands in `EXCEPTIONS`, with
its file.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

UNIT = (
    "step|epoch|example|batch|image|class|person|identity|second|minute|hour|request|line|row|"
    "column|layer|direction|device|worker|machine|character|word|sentence|token|trial|pixel|file|"
    "folder|position|unit|member|fold|seed|poem|verb|recipe|run|setting|signature|version|"
    "iteration|update|input|output|channel|variable|replica|process|thread|query|face|facade"
)
RATED = (
    "steps|examples|images|batches|units|lines|rows|files|sentences|passes|seconds|milliseconds|ms|"
    "requests|folders|bits|bytes|numbers|words|characters|filters|epochs|minutes|hours|points|"
    "operations|multiplications|line|row|folder|file|bar|word|number|column|colour|weight|name"
)
PATTERNS = {
    "tell": r"\b(tell|tells|told|telling)\b",
    "wanted": r"\bwanted\b",
    "is no": r"(?<!there )\b(is|are|was|were|be|has been) no (?!longer\b|more\b|less\b|fewer\b|"
    r"better\b|worse\b|different\b|larger\b|smaller\b|later\b|earlier\b)[a-z]",
    "go on": r"\b(go|goes|going|gone|went) on\b",
    "a sentence that begins with 'Of'": r"(?:^|[.:!?] +)Of [a-z`]",
    "a sentence that begins with 'What'": r"(?:^|[.:!] +)What\b(?![^.!]*\?)",
    "that of": r"\bthat of\b",
    "X a Y": rf"\b({RATED}) an? ({UNIT})\b(?! (that|which|who|with))",
    ", for it": r", for (it|they|he|she)\b",
    "beside": r"\bbeside\b",
    ", too": r", too\b",
    "alike": r"\balike\b",
    "by itself": r"\b(by|for) (itself|themselves|himself)\b",
    "whatever": r"\bwhatever\b",
    "so many": r"\bso many\b",
    "but for": r"\bbut for\b",
    "brought to": r"\bbrought to\b",
    "picture": r"\bpictures?\b",
    "share for fraction": r"\bshares? of\b|\bshare between\b",
    "anew": r"\banew\b",
    "can be had": r"\b(can|could|cannot|may|to) be had\b",
    "the very": r"\bthe very (?!first|last|end|beginning)",
    "amid": r"\bamid\b",
    "where there is one": r"\bwhere there (is|are) (one|none|some)\b",
    "and all that": r"\ball that is\b",
    "brackets": r"\bin brackets\b",
    "wont": r"\bas ever\b|\bwont\b|\bthereof\b|\bthereby\b|\bfrom the first on\b",
}

# A phrase that is right all the same: its file, and a part of the line.
EXCEPTIONS: dict[str, tuple[str, ...]] = {
    # Sentences that travellers say: built-in data, not the project's prose.
    "dlrecipes/data/generated/travel/english.py": (
        "as I told your colleague",
        "whatever the (price|",
        "show|tell) me",
        "tell me [<aside>]",
    ),
    "dlrecipes/data/generated/travel/english_short.py": ("tell me about",),
    "dlrecipes/data/generated/travel/english_other.py": (
        "(tell|read) me",
        "(tell me|give me)",
        "visit|ask|tell)",
        "tell me) the temperature",
        "|picture|",
        "pictures|documents",
        "i don't know|whatever)",
    ),
}

PROSE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "recipes/*/README.md")
CODE = (
    "dlrecipes/**/*.py",
    "recipes/**/*.py",
    "tools/**/*.py",
    "benchmarks/**/*.py",
    "docs/**/*.py",
    "tests/**/*.py",
)


def prose(path):
    """Yields the paragraphs of a Markdown file without code, each with the line it begins at."""
    text = re.sub(r"(?ms)^```.*?^```", blanked, path.read_text(encoding="utf-8"))
    text = re.sub(r"`[^`\n]*`", "`x`", text)
    yield from paragraphs(text, 1)


def blanked(match):
    return "\n" * match[0].count("\n")


def paragraphs(text, line):
    """Yields each paragraph as one line of text, with the line it begins at."""
    for part in re.split(r"(\n\s*\n|\n(?=\s*[-*#|]))", text):
        joined = " ".join(part.split())
        if joined:
            yield line, joined
        line += part.count("\n")


def of_code(path):
    """Yields comments, docstrings and messages of a Python file, with their lines."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    if "tests" not in path.parts:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                text = re.sub(r"(?m)^\s*(>>>|\.\.\. ).*$", "", node.value)
                text = re.sub(r"`[^`\n]*`", "`x`", text)
                yield from paragraphs(text, node.lineno)
    comments = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            if comments and comments[-1][1] == token.start[0] - 1:
                comments[-1] = (comments[-1][0], token.start[0], f"{comments[-1][2]} {text}")
            else:
                comments.append((token.start[0], token.start[0], text))
    yield from ((first, text) for first, _, text in comments)
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            words = node.name.strip("_").replace("_", " ")
            if node.name.startswith("test_"):
                yield node.lineno, words.removeprefix("test ")
                if doc := ast.get_docstring(node):
                    yield from paragraphs(doc, node.lineno)


def hits(root=ROOT):
    """Yields `file:line: rule: text` for each phrase of the list that stands somewhere."""
    texts = [(path, prose) for pattern in PROSE for path in sorted(root.glob(pattern))]
    texts += [(path, of_code) for pattern in CODE for path in sorted(root.glob(pattern))]
    for path, read in texts:
        # The gallery copies the scripts of the course.
        if path == Path(__file__) or "auto_course" in path.parts:
            continue
        name = path.relative_to(root).as_posix()
        for line, text in read(path):
            for rule, pattern in PATTERNS.items():
                for match in re.finditer(pattern, text):
                    around = text[max(0, match.start() - 40) : match.end() + 40]
                    if not any(part in text for part in EXCEPTIONS.get(name, ())):
                        yield f"{name}:{line}: {rule}: ...{around}..."


def test_the_english_is_plain():
    assert list(hits()) == []


if __name__ == "__main__":
    import sys

    chosen = [hit for hit in hits() if hit.startswith(tuple(sys.argv[1:]) or "")]
    print("\n".join(chosen))
    print(len(chosen), "hits")
