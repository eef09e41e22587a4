"""Datasets of TensorFlow Datasets, with one-line errors."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dlrecipes.data.parts import part_of
from dlrecipes.errors import DataError, nearest

CATALOGUE = "https://www.tensorflow.org/datasets/catalog/overview"
# A server that does not answer for this long cannot be reached, in seconds.
CONNECT_SECONDS = 10.0


@contextlib.contextmanager
def prepared(name: str, data_dir: str | Path) -> Iterator[Any]:
    """Provides the builder of a dataset, which is downloaded first if necessary.

    Args:
        name: Name in the catalogue, such as `"mnist"` or `"emnist/digits"`.
        data_dir: Folder of the downloaded datasets; a leading `~` is expanded.

    Yields:
        `tfds.core.DatasetBuilder` whose data is ready to read.

    Raises:
        DataError: If the dataset does not exist, cannot be downloaded, or reading it inside the
            `with` block fails.
    """
    import tensorflow_datasets

    folder = str(Path(data_dir).expanduser())
    try:
        builder = tensorflow_datasets.builder(name, data_dir=folder)
        folder = getattr(builder, "data_dir", folder)
        with _reachable_servers():
            builder.download_and_prepare()
        yield builder
    except DataError:
        raise
    except tensorflow_datasets.core.DatasetNotFoundError:
        names = tensorflow_datasets.list_builders(with_community_datasets=False)
        raise DataError(
            f"tfds:{name}: there is no such dataset. {nearest(name, names)}".rstrip(),
            f"All names: {CATALOGUE}",
        ) from None
    except Exception as error:
        # A failed download and a full disk raise errors of many kinds.
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        problem = f"the dataset cannot be loaded: {first[:200].rstrip('.')}"
        request = getattr(error, "request", None)
        if isinstance(error, OSError) and request is not None:  # No connection.
            host = urlsplit(request.url).hostname
            problem = f"the dataset is not prepared, and {host} cannot be reached"
        raise DataError(
            f"tfds:{name}: {problem}.",
            f"Connect to the network once, or put the prepared dataset into {folder} (--data-dir).",
        ) from None


@contextlib.contextmanager
def _reachable_servers() -> Iterator[None]:
    """Checks each server once before it is asked for a file.

    TensorFlow Datasets retries for minutes otherwise, with a warning for each attempt. A dataset
    that is prepared or downloaded needs no server, so that none is checked.
    """
    from tensorflow_datasets.core.download import downloader

    lock = threading.Lock()
    errors: dict[str | None, Exception | None] = {}
    open_url = downloader._open_url

    def open_reachable(url: str, **options: Any) -> Any:
        host = urlsplit(url).hostname
        with lock:  # Files are downloaded in several threads.
            if host not in errors:
                errors[host] = _connection_error(url)
            error = errors[host]
        if error is not None:
            raise error
        return open_url(url, **options)

    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    logger.setLevel(logging.ERROR)
    downloader._open_url = open_reachable
    try:
        yield
    finally:
        downloader._open_url = open_url
        logger.setLevel(level)


def _connection_error(url: str) -> Exception | None:
    """Returns the error of a connection to a server, or `None` if it answers.

    Looking up a name and connecting to each of its addresses have timeouts of their own, so that
    a thread bounds the whole.
    """
    import requests

    if not url.startswith("http"):
        return None
    request = requests.Request("HEAD", url).prepare()
    errors: list[Exception] = []

    def connect() -> None:
        try:
            requests.head(url, timeout=CONNECT_SECONDS / 2)
        except requests.ReadTimeout:
            pass  # It is slow, but there.
        except requests.ConnectionError as error:
            errors.append(error)
        except Exception:
            pass  # The download reports it.

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if thread.is_alive():
        errors.append(requests.ConnectTimeout("no connection", request=request))
    return errors[0] if errors else None


def part_splits(builder: Any, where: str, note: Callable[[str], None]) -> dict[str, str]:
    """Returns the name of each part's split; the only split of a dataset is the training part.

    Args:
        builder: `tfds.core.DatasetBuilder`.
        where: Name of the dataset for messages.
        note: Receives the names of the splits that are not used.

    Raises:
        DataError: If there are several splits, but none for training.
    """
    splits = list(builder.info.splits)
    if len(splits) == 1:
        return {"train": splits[0]}
    parts: dict[str, str] = {}
    for split in splits:
        part = part_of(split)
        if part:
            parts.setdefault(part, split)
    if "train" not in parts:
        raise DataError(
            f"{where}: expected a split train, got {', '.join(splits)}.",
            "Try another dataset, such as cifar10.",
        )
    unused = [split for split in splits if split not in parts.values()]
    if unused:
        note(f"{where}: the splits {', '.join(unused)} are not used.")
    return parts
