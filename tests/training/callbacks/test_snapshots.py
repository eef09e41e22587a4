"""Arrays are saved after each epoch, and read by epoch."""

import numpy as np

from dlrecipes.training.callbacks import snapshots


def save(folder, epoch, value):
    snapshots.Snapshots(folder, lambda: value).on_epoch_end(epoch)


def test_each_array_is_read_by_its_epoch(tmp_path):
    for epoch in (0, 1, 11):
        save(tmp_path / "s", epoch, np.full((2, 3), epoch, "uint8"))
    arrays = snapshots.read(tmp_path / "s", last=12)
    assert list(arrays) == [1, 2, 12]
    assert (arrays[12] == 11).all()


def test_later_epochs_are_not_read_and_a_second_run_replaces_arrays(tmp_path):
    for epoch in range(3):
        save(tmp_path / "s", epoch, np.zeros(1))
    save(tmp_path / "s", 1, np.ones(1))
    arrays = snapshots.read(tmp_path / "s", last=2)
    assert [float(arrays[epoch][0]) for epoch in (1, 2)] == [0, 1]
    assert 3 not in arrays


def test_no_file_is_written_without_an_array(tmp_path):
    save(tmp_path / "s", 0, None)
    assert not (tmp_path / "s").exists()
    assert snapshots.read(tmp_path / "s", last=9) == {}
