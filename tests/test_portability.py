"""What only POSIX systems have is not used, so that the package works on Windows."""

import ast
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import dlrecipes
from dlrecipes._utils.files import try_lock
from dlrecipes.export import fresh_process, publish
from dlrecipes.export.fresh_process import VerificationProcess

MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "chown", "fork", "getpgid", "getuid",
    "kill", "killpg", "mkfifo", "pass_fds", "poll", "preexec_fn", "setsid", "sigwait", "uname",
}  # fmt: skip
# Code that runs on one system only: the test of `sys.platform` or `os.name` guards it.
GUARDS = ("sys.platform", "os.name")


def is_guard(node):
    return isinstance(node, ast.If) and any(guard in ast.unparse(node.test) for guard in GUARDS)


def reached(node):
    """Returns the parts of a node that run on every system: a guard may return from a function."""
    parts = list(ast.iter_child_nodes(node))
    for number, part in enumerate(parts):
        if is_guard(part) and isinstance(part.body[-1], ast.Return):
            return parts[:number]
    return parts


def posix_only(tree):
    """Yields what a module uses that Windows lacks, outside of guards."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if is_guard(node):
            continue
        waiting += reached(node)
        names = set()
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = {module} if module else {alias.name for alias in node.names}
            names &= MODULES
        elif isinstance(node, ast.Attribute):
            modules = ("os", "select", "signal")
            names = {node.attr} & NAMES if ast.unparse(node.value) in modules else set()
        elif isinstance(node, ast.keyword):
            names = {node.arg} & NAMES
        yield from names


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import fcntl", ["fcntl"]),
        ("def f():\n    from resource import getrusage", ["resource"]),
        ("import os\nos.fork()", ["fork"]),
        ("import subprocess\nsubprocess.run([], pass_fds=(1,))", ["pass_fds"]),
        ("import sys\nif sys.platform == 'linux':\n    import fcntl", []),
        ("def f():\n    if os.name == 'nt':\n        return\n    os.fork()", []),
    ],
)
def test_the_test_sees_what_only_posix_has(code, expected):
    assert list(posix_only(ast.parse(code))) == expected


def test_nothing_that_only_posix_has_is_used():
    package = Path(dlrecipes.__file__).parent
    files = [*package.rglob("*.py"), *(package.parent / "recipes").rglob("*.py")]
    assert len(files) > 100
    used = {
        str(path): names
        for path in files
        if (names := [*posix_only(ast.parse(path.read_text("utf-8")))])
    }
    assert used == {}


def test_a_model_is_published_without_posix_modules(tmp_path, monkeypatch):
    start = subprocess.Popen.__init__

    def like_windows(self, *args, **options):
        assert not {"pass_fds", "preexec_fn"} & set(options)
        start(self, *args, **options)

    monkeypatch.setattr(fresh_process, "VerificationProcess", VerificationProcess)
    monkeypatch.setattr(subprocess.Popen, "__init__", like_windows)
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    with try_lock(tmp_path) as alone:
        assert alone
        with try_lock(tmp_path) as second:
            assert not second
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1)])
    version = publish(model, tmp_path / "net", examples=np.ones((1, 2), "float32"))
    assert (version / "model.tflite").is_file()
