"""README's Python runs as it is written, and README stays a front page."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language):
    text = README.read_text(encoding="utf-8")
    fences = re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)
    return [block for name, block in fences if name == language]


@pytest.mark.slow
def test_the_python_of_the_readme_runs(empty_directory, capsys):
    first, *others = blocks("python")
    namespace = {}
    exec(first, namespace)
    assert "['leave', 'Beijing', 'on', 'November', '2nd']" in capsys.readouterr().out
    published, model = namespace["result"].version.folder, namespace["model"]
    assert published.parent.name == "slot_filling"
    assert model.folder.resolve() == published.resolve()
    for block in others:
        exec(block, namespace)
    assert namespace["tuner"].oracle.get_space().space


def test_the_readme_is_short_and_shows_python_before_the_commands():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert text.index("dlrecipes.load_recipe") < text.index("dlrecipes list")


def test_every_command_of_the_readme_exists():
    from dlrecipes.cli.main import VERBS

    (commands,) = [block for block in blocks("") if "dlrecipes list" in block]
    verbs = {line.split()[1] for line in commands.splitlines() if line.startswith("dlrecipes ")}
    assert verbs <= set(VERBS)
