"""What several tests share: the command line in process, small recipes, one published model."""

import gc
import json
import shutil
import signal
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from dlrecipes.cli.main import main
from dlrecipes.export import fresh_process
from dlrecipes.recipe import registry

# Graphs are many small objects that live as long as the tests: looking through them takes time.
gc.set_threshold(200_000, 50, 50)


def pytest_collection_finish():
    """Excludes what the imports made from garbage collection.

    LiteRT's converter collects garbage at each conversion, and most objects are those of
    TensorFlow's and Keras' modules.
    """
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Prints the files whose tests and fixtures take longest, after a run of a minute or more."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    if seconds.total() >= 60:
        terminalreporter.section("slowest files")
        for name, total in seconds.most_common(20):
            terminalreporter.line(f"{total:.1f}s {name}")


# Background processes ignore Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CONFIG = '''"""Settings."""

from dlrecipes.recipe import RecipeConfig, Search, setting


class Config(RecipeConfig):
    """Settings of mine."""

    units: int = setting(8, "Hidden units.", ge=1, le=64, search=Search(4, 32, "log"))
'''

RECIPE = '''"""The recipe."""

from dlrecipes.recipe import Recipe

from . import data
from .config import Config


class Mine(Recipe):
    """A recipe that needs no TensorFlow; nothing of it is run."""

    Config = Config
    load_data = build = dataset = data.nothing
'''

DATA = '''"""Data."""


def nothing(self, *given):
    """Returns nothing."""
'''


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="module")
def _freeze_what_stays():
    """Collects a module's garbage, and excludes what stays from the collections that follow.

    Caches of Keras and TensorFlow keep graphs as long as the process lives. At the end of the
    tests, each of the converter's collections would look through millions of their objects.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def checked_here():
    """Verifies published versions in this process, which saves loading TensorFlow each time.

    `test_fresh_process.py` covers the other process, and so do tests of whole commands.
    """

    class Here(fresh_process.VerificationProcess):
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def check(self, folder, wanted):
            from dlrecipes.export import verification

            list(verification.check_answers(folder, wanted))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fresh_process, "VerificationProcess", Here)
        yield


@pytest.fixture
def dlrecipes(capsys):
    """The command line, called in process; a traceback on the terminal is never right."""

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        answer = Answer(ended.value.code, *capsys.readouterr())
        assert "Traceback" not in answer.out + answer.err
        assert "fault of dlrecipes" not in answer.err
        return answer

    return call


@pytest.fixture
def float64():
    """Lets a test compute in float64, which JAX does only when asked."""
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def own_recipe(tmp_path):
    """Makes a folder that holds a small recipe; keyword arguments replace its modules."""

    def make(name="mine", under=None, **modules):
        folder = (under or tmp_path) / name
        folder.mkdir(parents=True)
        texts = {"__init__": '"""Mine: does nothing."""\n', "config": CONFIG, "data": DATA}
        for module, text in {**texts, "recipe": RECIPE, **modules}.items():
            (folder / f"{module}.py").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def empty_directory(tmp_path, monkeypatch):
    """A working directory that holds nothing."""
    folder = tmp_path / "working directory"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def forget():
    """Makes the next command import a recipe's folder anew, as another process would."""

    def call(folder):
        package = registry.find(str(folder)).package
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]

    return call


@pytest.fixture(scope="session")
def run_once(tmp_path_factory, worker_id):
    """A small run of slot filling: `(result, models)`. Read it, do not write there.

    A feed-forward network is traced and published in half the time of a recurrent one, whose
    files `recipes/test_slot_filling.py` compares. All test processes share the run.
    """
    import fcntl

    from dlrecipes import runner
    from dlrecipes.export.version import ModelVersion

    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "run_once"
    root.mkdir(exist_ok=True)
    folder, models = root / "runs" / "slot_filling" / "one", root / "saved_models"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir(parents=True)
            source = registry.find("slot_filling")
            sizes = {"examples": 100, "units": 8, "word_units": 8, "ngram_units": 8}
            sizes |= {"min_steps_per_epoch": 1}
            settings = source.config().parse({**sizes, "cell": "feed_forward", "epochs": 3})
            runner.run(source.recipe()(settings, source.name), folder, models)
    metrics = json.loads((folder / "metrics.json").read_text())
    return runner.Result(folder, ModelVersion(models / "slot_filling" / "1"), metrics), models


@pytest.fixture
def published_slots(run_once, tmp_path):
    """A folder of published models with version 1 of slot filling, to be damaged at will."""
    return shutil.copytree(run_once[1], tmp_path / "saved_models")
