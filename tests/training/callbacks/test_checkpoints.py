"""Checkpoints resume bit for bit, keep the last and the best epoch, and reject misuse."""

import contextlib
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from dlrecipes.data.batches import steps_per_epoch, training_batches
from dlrecipes.data.text import TextEncoder
from dlrecipes.errors import RecipeError
from dlrecipes.models import tagger
from dlrecipes.training import Checkpoints, SequenceTagger, Trainer
from dlrecipes.training.callbacks.checkpoints import saved_epochs

TAGS = ("O", "B-from", "B-to")
SENTENCES = [[way, city, "now"][:n] for way in ("from", "to") for city in ("Rome", "Oslo", "Bonn")
             for n in (2, 3)]  # fmt: skip
LENGTHS = np.array([len(sentence) for sentence in SENTENCES], "int32")
GOLD = np.array([[0, TAGS.index(f"B-{sentence[0]}"), 0] for sentence in SENTENCES], "int32")
ENCODER = TextEncoder.fit(SENTENCES)
WORDS = ENCODER(tf.constant([[*s, ""][:3] for s in SENTENCES]))["words"].numpy()
BATCH = 5


@contextlib.contextmanager
def determinism():
    """Runs as `dlrecipes.runner.make_deterministic` does, and resets the switch."""
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


@pytest.fixture
def deterministic():
    with determinism():
        yield


def new_tagger(seed):
    keras.utils.set_random_seed(seed)
    network = tagger(
        ENCODER.num_words, len(TAGS), word_units=4, units=4, cell="elman", bidirectional=False,
        dropout=0.4, word_dropout=0.2, seed=seed,
    )  # fmt: skip
    model = SequenceTagger(network, ENCODER, TAGS)
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), jit_compile=False)
    return model


def train_tagger(folder, epochs, seed=1):
    """Trains as a run does: build a new model, resume, and train up to `epochs` epochs in all."""
    model = new_tagger(seed)
    checkpoints = Checkpoints(folder, "loss", "min")
    checkpoints.resume(model)
    done = checkpoints.epochs
    data = training_batches({"words": WORDS}, {"tags": GOLD}, BATCH, 7, done, LENGTHS)
    model.fit(
        data, epochs=epochs, initial_epoch=done, steps_per_epoch=steps_per_epoch(len(WORDS), BATCH),
        verbose=0, callbacks=[checkpoints],
    )  # fmt: skip
    return model, checkpoints


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs of four, two and one epochs, which are only read, and the first's state."""
    folder = tmp_path_factory.mktemp("runs")
    with determinism():
        whole, history = train_tagger(folder / "four", 4)
        train_tagger(folder / "two", 2)
        train_tagger(folder / "one", 1)
    return folder, state(whole), history.history


@pytest.fixture
def two_epochs(runs, tmp_path):
    """A copy of a run that was cut after two epochs."""
    return shutil.copytree(runs[0] / "two", tmp_path / "two")


@pytest.fixture
def one_epoch(runs, tmp_path):
    """A copy of a run of one epoch."""
    return shutil.copytree(runs[0] / "one", tmp_path / "one")


def state(model):
    """Returns the whole state of training: weights, random states and the optimizer."""
    metrics = {id(v) for v in model.metrics_variables}
    variables = [v for v in model.variables if id(v) not in metrics]
    state = {}
    for number, variable in enumerate([*variables, *model.optimizer.variables]):
        # Names contain the number of layers that the process has created, which is removed.
        name = re.sub(r"_\d+", "", variable.path)
        state[f"{number} {name}"] = np.array(variable)
    return state


def weight_pairs(model, other):
    return zip(model.get_weights(), other.get_weights(), strict=True)


def assert_same_bytes(ours, theirs):
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name].tobytes() == theirs[name].tobytes(), name


def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(deterministic, runs, two_epochs):
    _, whole, history = runs
    # Another seed, because the initial weights of a new process must not matter.
    assert any(np.any(a != b) for a, b in weight_pairs(new_tagger(99), new_tagger(1)))
    cut, resumed = train_tagger(two_epochs, 4, seed=99)
    ours = state(cut)
    for part in ("seed_generator_state", "transitions", "iteration", "momentum"):
        assert any(part in name for name in ours), part
    assert_same_bytes(ours, whole)
    assert resumed.history == history
    assert len(history) == 4


def test_resume_without_a_checkpoint_changes_nothing(tmp_path):
    model = new_tagger(1)
    before = state(model)
    checkpoints = Checkpoints(tmp_path / "none", "loss", "min")
    checkpoints.resume(model)
    assert (checkpoints.epochs, checkpoints.best, checkpoints.stopped) == (0, 0, False)
    assert_same_bytes(state(model), before)


class Scripted(Trainer):
    """Its loss in epoch `n` is `curve[n]`; its only weight grows by 1 per epoch."""

    def __init__(self, curve):
        super().__init__()
        self.curve = tf.constant(curve, tf.float32)
        self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.dense.build((None, 1))
        self.built = True

    def call(self, inputs, training=False):
        return self.dense(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        value = tf.gather(self.curve, tf.cast(self.optimizer.iterations, tf.int32))
        # The derivative with respect to the weight is -1, and the value is the curve's.
        return value - (tf.reduce_sum(y_pred) - tf.stop_gradient(tf.reduce_sum(y_pred)))

    @property
    def epochs(self):
        return float(self.dense.kernel[0, 0])


def train_scripted(folder, curve, epochs, callbacks=(), mode="min", monitor="loss", **kwargs):
    model = Scripted(curve)
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    checkpoints = Checkpoints(folder, monitor, mode, replayed=callbacks, **kwargs)
    checkpoints.resume(model)
    x = np.ones((1, 1), "float32")
    model.fit(
        x, x, epochs=epochs, initial_epoch=checkpoints.epochs, verbose=0,
        callbacks=[*callbacks, checkpoints],
    )  # fmt: skip
    return model, checkpoints


# Epoch 3 is the best, so that a patience of 3 stops after epoch 6, before the lower losses.
CURVE = [5.0, 4.0, 2.0, 3.0, 2.5, 2.25, 1.0, 1.0]


def early_stopping():
    return keras.callbacks.EarlyStopping("loss", mode="min", patience=3)


@pytest.mark.parametrize("cut", [None, 2, 4, 5])
def test_early_stopping_counts_its_patience_across_a_resume(tmp_path, cut):
    if cut is not None:
        _, first = train_scripted(tmp_path, CURVE, cut, [early_stopping()])
        assert (first.epochs, first.stopped) == (cut, False)
    model, checkpoints = train_scripted(tmp_path, CURVE, len(CURVE), [early_stopping()])
    assert [logs["loss"] for logs in checkpoints.history] == CURVE[:6]
    assert checkpoints.stopped
    assert checkpoints.best == 3
    assert model.epochs == 6


@pytest.mark.parametrize("cut", [None, 2, 4])
def test_learning_rate_reduction_continues_across_a_resume(tmp_path, cut):
    def halve():
        return [keras.callbacks.ReduceLROnPlateau("loss", mode="min", factor=0.5, patience=2)]

    # Halved after epochs 3 and 5, each the second without an improvement.
    curve = [1.0] * 6
    if cut is not None:
        train_scripted(tmp_path, curve, cut, halve())
    model, _ = train_scripted(tmp_path, curve, 6, halve())
    assert float(model.optimizer.learning_rate) == 0.25
    assert model.epochs == 1 + 1 + 1 + 0.5 + 0.5 + 0.25


def test_a_stopped_run_is_known_as_stopped_after_resume(tmp_path):
    train_scripted(tmp_path, CURVE, len(CURVE), [early_stopping()])
    again = Checkpoints(tmp_path, "loss", "min")
    model = Scripted(CURVE)
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    again.resume(model)
    assert again.stopped
    assert (again.epochs, again.best, model.epochs) == (6, 3, 6)


@pytest.mark.parametrize(
    "mode, curve, best",
    [
        ("min", [3.0, 1.0, 2.0, 1.0], 2),
        ("max", [3.0, 1.0, 4.0, 4.0], 3),
        ("max", [3.0, 1.0, 2.0, 0.0], 1),
        ("min", [3.0, 2.0, 1.0, 0.0], 4),
    ],
)
@pytest.mark.parametrize("cut", [None, 2])
def test_the_best_epoch_is_restored_and_only_the_best_and_the_last_are_kept(
    tmp_path, mode, curve, best, cut
):
    if cut is not None:
        train_scripted(tmp_path, curve, cut, mode=mode)
    model, checkpoints = train_scripted(tmp_path, curve, 4, mode=mode)
    assert {path.name for path in tmp_path.iterdir()} == {f"epoch-{n:04d}" for n in (best, 4)}
    assert checkpoints.best == best
    assert model.epochs == 4
    checkpoints.restore_best(model)
    assert model.epochs == best
    assert int(model.optimizer.iterations) == best


@pytest.mark.parametrize(
    "skipped, epochs, best", [(0, 4, 1), (1, 4, 3), (3, 4, 4), (2, 2, 2), (9, 4, 4)]
)
def test_the_best_epoch_is_chosen_after_the_skipped_ones(tmp_path, skipped, epochs, best):
    curve = [1.0, 3.0, 2.0, 2.5]
    model, checkpoints = train_scripted(tmp_path, curve, epochs, start_from_epoch=skipped)
    assert checkpoints.best == best
    checkpoints.restore_best(model)
    assert model.epochs == best


def test_without_a_monitor_only_the_last_epoch_is_kept_as_the_best(tmp_path):
    model, checkpoints = train_scripted(tmp_path, CURVE, 5, monitor=None)
    assert checkpoints.best == 5
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0005"]
    checkpoints.restore_best(model)
    assert model.epochs == 5


def test_an_incomplete_checkpoint_is_ignored_and_replaced(tmp_path):
    curve = [4.0, 3.0, 2.0]
    train_scripted(tmp_path, curve, 2)
    # Killed while writing the third epoch, before the folder was renamed.
    part = tmp_path / ".part-epoch-0003"
    shutil.copytree(tmp_path / "epoch-0002", part)
    (part / "state.json").write_text("{")
    model, checkpoints = train_scripted(tmp_path, curve, 3)
    assert [logs["loss"] for logs in checkpoints.history] == curve
    assert model.epochs == 3
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0003"]


def test_the_state_file_counts_seconds_across_a_resume(tmp_path):
    _, first = train_scripted(tmp_path, CURVE, 2)
    _, second = train_scripted(tmp_path, CURVE, 3)
    saved = json.loads((tmp_path / "epoch-0003/state.json").read_text())
    assert saved["history"] == second.history
    assert saved["seconds"] == second.seconds > first.seconds > 0
    assert saved["stopped"] is False


@pytest.mark.parametrize(
    "damage", ["empty state", pytest.param("cut weights", marks=pytest.mark.slow)]
)
def test_a_damaged_checkpoint_falls_back_to_the_previous_one(
    deterministic, runs, two_epochs, damage
):
    damaged = shutil.copytree(two_epochs / "epoch-0002", two_epochs / "epoch-0003")
    if damage == "empty state":
        (damaged / "state.json").write_text("")
    else:
        (data,) = damaged.glob("model.data*")
        data.write_bytes(data.read_bytes()[:100])
    cut, _ = train_tagger(two_epochs, 4)
    assert_same_bytes(state(cut), runs[1])


def test_an_error_with_a_hint_if_all_checkpoints_are_damaged(one_epoch):
    (one_epoch / "epoch-0001" / "state.json").write_text("{")
    with pytest.raises(
        RecipeError, match=r"no checkpoint fits the model.*Start again in another folder"
    ):
        Checkpoints(one_epoch, "loss", "min").resume(new_tagger(1))


def test_checkpoints_are_sorted_by_number(tmp_path):
    for epoch in (9999, 10000, 10):
        (tmp_path / f"epoch-{epoch:04d}").mkdir()
    assert [path.name for path in saved_epochs(tmp_path)] == [
        "epoch-0010",
        "epoch-9999",
        "epoch-10000",
    ]


def fit_once(model, checkpoints):
    data = training_batches({"words": WORDS}, {"tags": GOLD}, BATCH, 7, 0, LENGTHS)
    steps = steps_per_epoch(len(WORDS), BATCH)
    model.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[checkpoints])


def test_an_earlier_run_is_not_replaced_without_resume(one_epoch):
    before = sorted(path.name for path in saved_epochs(one_epoch))
    with pytest.raises(ValueError, match=r"earlier run.*call resume\(model\)"):
        fit_once(new_tagger(1), Checkpoints(one_epoch, "loss", "min"))
    assert sorted(path.name for path in saved_epochs(one_epoch)) == before


def test_a_monitor_that_is_not_logged_raises_an_error_that_lists_the_logs(tmp_path):
    with pytest.raises(
        ValueError, match=r"monitor is 'val_los', which is not among the logs: .*loss"
    ):
        fit_once(new_tagger(1), Checkpoints(tmp_path, "val_los", "min"))


def test_a_mode_other_than_min_or_max_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', not 'auto'"):
        Checkpoints(tmp_path, "loss", "auto")


def test_restore_best_fails_before_training_or_resume(one_epoch):
    with pytest.raises(ValueError, match="The best epoch is unknown"):
        Checkpoints(one_epoch, "loss", "min").restore_best(new_tagger(1))


def test_a_model_that_is_not_compiled_cannot_resume(tmp_path):
    x = keras.Input((2,))
    with pytest.raises(ValueError, match="is not compiled: compile it"):
        Checkpoints(tmp_path, "loss", "min").resume(keras.Model(x, keras.layers.Dense(1)(x)))


def test_a_checkpoint_of_another_optimizer_is_rejected(one_epoch):
    model = new_tagger(1)
    # AdamW has the same slots as Adam.
    model.compile(keras.optimizers.AdamW(0.5), jit_compile=False)
    checkpoints = Checkpoints(one_epoch, "loss", "min")
    with pytest.raises(RecipeError, match="was saved with Adam; the model is compiled with AdamW"):
        checkpoints.resume(model)
    assert float(model.optimizer.learning_rate) == 0.5


def test_a_checkpoint_without_optimizer_names_can_be_read(one_epoch):
    path = saved_epochs(one_epoch)[-1] / "state.json"
    state = json.loads(path.read_text())
    del state["optimizers"]
    path.write_text(json.dumps(state))
    checkpoints = Checkpoints(one_epoch, "loss", "min")
    checkpoints.resume(new_tagger(1))
    assert checkpoints.epochs == 1
