"""Arrays that are kept of each epoch, and read again by epoch."""

import numpy as np

from dlrecipes.training.callbacks import snapshots


def keep(folder, epoch, value):
    snapshots.Snapshots(folder, lambda: value).on_epoch_end(epoch)


def test_each_epochs_array_is_read_by_its_number(tmp_path):
    for epoch in (0, 1, 11):
        keep(tmp_path / "s", epoch, np.full((2, 3), epoch, "uint8"))
    found = snapshots.read(tmp_path / "s", last=12)
    assert list(found) == [1, 2, 12]
    assert (found[12] == 11).all()


def test_epochs_after_the_last_are_left_out_and_a_second_run_replaces(tmp_path):
    for epoch in range(3):
        keep(tmp_path / "s", epoch, np.zeros(1))
    keep(tmp_path / "s", 1, np.ones(1))
    found = snapshots.read(tmp_path / "s", last=2)
    assert [float(found[epoch][0]) for epoch in (1, 2)] == [0, 1]
    assert 3 not in found


def test_nothing_is_kept_of_nothing(tmp_path):
    keep(tmp_path / "s", 0, None)
    assert not (tmp_path / "s").exists()
    assert snapshots.read(tmp_path / "s", last=9) == {}
