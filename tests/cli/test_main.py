"""The entry point: exit codes, and what a user reads when something is wrong."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dlrecipes import __version__
from dlrecipes._utils import terminal
from dlrecipes.cli import main as entry


def ends_with(monkeypatch, error):
    """Makes the command line fail in its own way."""

    def fail(**options):
        raise error

    monkeypatch.setattr(entry.cli, "main", fail)


def test_help_shows_every_verb_and_examples(dlrecipes):
    answer = dlrecipes("--help")
    assert answer.code == 0
    verbs = answer.out.split("Commands:")[1].split("Examples:")[0].split("\n")
    assert [line.split()[0] for line in verbs if line.strip()] == list(entry.VERBS)
    assert "dlrecipes run slot_filling" in answer.out
    assert dlrecipes("-h").out == answer.out


@pytest.mark.parametrize("verb", entry.VERBS)
def test_every_verb_has_help(dlrecipes, verb):
    answer = dlrecipes(verb, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: dlrecipes {verb} ")


def test_version_is_the_packages(dlrecipes):
    answer = dlrecipes("--version")
    assert (answer.code, answer.out.split()[-1]) == (0, __version__)


@pytest.mark.parametrize("args", [(), ("run",)])
def test_nothing_typed_shows_help_and_is_wrong_use(dlrecipes, args):
    answer = dlrecipes(*args)
    assert answer.code == 2
    assert answer.err.startswith("Usage: dlrecipes")
    assert "Examples:" in answer.err


def test_an_unknown_verb_gets_the_nearest(dlrecipes):
    answer = dlrecipes("lst")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Error: Unknown command 'lst'. Did you mean 'list'?\n"
    assert "--help" in dlrecipes("zzzzzz").err


@pytest.mark.parametrize(
    "args", [("list", "--no-such"), ("info",), ("copy", "slot_filling"), ("info", "a", "b")]
)
def test_wrong_options_and_arguments_are_wrong_use(dlrecipes, args):
    answer = dlrecipes(*args)
    assert answer.code == 2
    assert answer.err.startswith("Error: ")


def test_a_fault_of_ours_is_one_line_that_says_how_to_see_more(monkeypatch, capsys):
    ends_with(monkeypatch, ZeroDivisionError("first\nsecond"))
    with pytest.raises(SystemExit) as ended:
        entry.main(["list"])
    first, second = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert first == "Error: this is a fault of dlrecipes: ZeroDivisionError: first"
    assert "DLRECIPES_TRACEBACK=1" in second


def test_a_fault_of_ours_is_raised_where_it_is_asked_for(monkeypatch):
    ends_with(monkeypatch, ZeroDivisionError("first"))
    monkeypatch.setenv("DLRECIPES_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        entry.main(["list"])


def test_a_file_that_cannot_be_written_is_named(dlrecipes, monkeypatch):
    ends_with(monkeypatch, PermissionError(13, "Permission denied", "/some/file"))
    answer = dlrecipes("list")
    assert (answer.code, answer.err) == (1, "Error: /some/file: Permission denied.\n")


def test_a_reader_that_goes_away_gets_no_traceback(tmp_path):
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "dlrecipes", "info", "slot_filling"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [(), ("list", "--no-such"), ("serve", "--models", "no/such")])
def test_an_error_stream_that_is_full_does_not_change_the_exit_code(args):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "dlrecipes", *args]
        assert subprocess.run(command, stderr=full, check=False).returncode == 2


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_characters_that_the_terminal_lacks_are_escaped(monkeypatch, encoding):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    # click's own output as well as Python's.
    monkeypatch.setattr(
        entry.cli, "main", lambda **options: print("春, \udcff and", end=" ") or click.echo("😀")
    )
    with pytest.raises(SystemExit) as ended:
        entry.main(["list"])
    out.flush()
    err.flush()
    assert ended.value.code == 0
    assert out.buffer.getvalue() == rb"\u6625, \udcff and \U0001f600" + b"\n"
    assert b"the encoding of this terminal" in err.buffer.getvalue()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened_before_a_file_takes_their_place(closed, tmp_path):
    code = (
        "import os, sys; from dlrecipes._utils.terminal import open_closed_streams as f; f(); "
        "file = os.open('file', os.O_CREAT | os.O_WRONLY); print('text', file=sys.stdout); "
        "sys.stderr.write('text'); sys.stdin.buffer.read(); os.dup(2); sys.exit(file)"
    )
    command = f'"$1" -c "$2" {closed}'
    ended = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, code],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert ended.returncode > 2
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_json_stays_json_in_any_encoding(monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    value = {"text": "春😀é"}
    out.write(terminal.json_text(value))
    out.flush()
    text = out.buffer.getvalue().decode(encoding)
    assert json.loads(text) == value
    assert ("春" in text) == (encoding == "utf-8")
