"""Data sets of TensorFlow Datasets; whatever goes wrong with one is one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlrecipes.errors import DataError


@contextlib.contextmanager
def prepared(name: str, data_dir: Path) -> Iterator[Any]:
    """Gives the builder of a data set that is there, or was downloaded.

    Args:
        name: Its name in the catalogue, such as `"mnist"` or `"emnist/digits"`.
        data_dir: Where it is kept, or downloaded to.

    Raises:
        DataError: If there is no such data set, it cannot be had, or the block fails at it.
    """
    import tensorflow_datasets

    try:
        builder = tensorflow_datasets.builder(name, data_dir=str(Path(data_dir).expanduser()))
        builder.download_and_prepare()
        yield builder
    except DataError:
        raise
    except Exception as error:
        # What a download, a disk or a name can go wrong by is of many kinds.
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"tfds:{name}: it cannot be had: {first[:200].rstrip('.')}.",
            f"It needs a network once, or its files in --data-dir {data_dir}.",
        ) from None
