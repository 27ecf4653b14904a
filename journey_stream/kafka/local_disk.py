"""A RocksDB in a directory of its own: keys and values, batches of changes.

Enters: keys. Leaves: values, in one look for many; keys in order. Strategy: what is written together is there
together, or not at all. Its errors have no types: here they get one, and say which directory it is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from journey_stream.errors import SettingsError

BLOCK_BYTES: Final = 4096
BUFFER_BYTES: Final = 96 << 20
"""Of all partitions of a process, what is in no file yet; two thirds of it for one. Much is merged seldom."""


class Disk:
    """One RocksDB. Safe for use by several threads, as RocksDB is."""

    def __init__(self, folder: Path) -> None:
        """Open, or begin.

        Raises:
            SettingsError: the extra is not installed, somebody else has the directory, or it cannot be used.
        """
        self._folder = folder
        self._db = _open(folder)

    def clear(self) -> None:
        """Throw all away."""
        self._db.close()
        _module().Rdict.destroy(str(self._folder), _options())
        self._db = _open(self._folder)

    def close(self) -> None:
        """Let go of the directory."""
        self._db.close()

    def get(self, key: bytes) -> bytes | None:
        """Give a value."""
        return self.read((key,))[0]

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Give values; quickest for many keys in order."""
        try:
            found: list[bytes | None] = self._db.get(list(keys))
        except Exception as error:  # RocksDB has no types of errors
            msg = f"state_dir {self._folder}: expected to read states there, but: {error}"
            raise SettingsError(msg) from error
        return found

    def items(self, prefix: bytes, begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Give keys that begin so and their values, from a place on, in order."""
        for key, value in self._db.items(from_key=prefix + begin):
            if not key.startswith(prefix):
                return
            yield key, value

    @staticmethod
    def batch() -> Any:
        """Begin a batch of changes: `put`, `delete`."""
        return _module().WriteBatch(raw_mode=True)

    def write(self, batch: Any) -> None:
        """Make changes.

        Raises:
            SettingsError: the directory cannot be written to.
        """
        try:
            self._db.write(batch)
        except Exception as error:  # RocksDB has no types of errors
            msg = f"state_dir {self._folder}: expected to write states there, but: {error}"
            raise SettingsError(msg) from error


def _module() -> Any:
    try:
        import rocksdict
    except ImportError:
        msg = (
            "state_store: rocksdb: expected the package `rocksdict`, it is not installed: "
            "pip install 'journey-stream[rocksdb]', or choose `state_store: memory`"
        )
        raise SettingsError(msg) from None
    return rocksdict


def _options() -> Any:
    rocksdict = _module()
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    options.set_write_buffer_size(BUFFER_BYTES * 2 // 3)
    options.set_write_buffer_manager(_buffers())  # of all partitions together
    options.set_allow_concurrent_memtable_write(False)  # there is one writer, whose keys come in order
    # Who comes often stays in the engine: what is read is somebody else's each time. A cache would be work
    # and memory for nothing; to compress and unpack takes longer than to read; the system caches files.
    options.set_compression_type(rocksdict.DBCompressionType.none())
    table = rocksdict.BlockBasedOptions()
    table.set_block_size(BLOCK_BYTES)
    table.disable_cache()
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


@functools.cache
def _buffers() -> Any:
    return _module().WriteBufferManager(BUFFER_BYTES, False)


def _open(folder: Path) -> Any:
    options = _options()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _module().Rdict(str(folder), options)
    except OSError as error:
        why = error.strerror or str(error)
    except Exception as error:
        # RocksDB has no types of errors: whatever it is, this directory cannot be used now.
        why = str(error)
        if "lock" in why.lower():
            why = "another process has it: each worker of a machine needs a `state_dir` of its own"
    msg = f"state_dir {folder}: cannot be used: {why}"
    raise SettingsError(msg)
