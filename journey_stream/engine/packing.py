"""States that rest for long, made small: a dictionary learnt from them, and each compressed against it.

In: states at rest without a history. Out: the same in fewer bytes, and back. States of one program are alike
(positions, names, addresses, the upper bytes of times): against a dictionary of a few hundred of them one
comes to less than half. Packed states are of this process alone: never written to a topic, so they are no
format that has to be read for ever. Header, due and layout stand as in `state`, readable without unpacking.

    1 byte PACKED, 8 due, 4 layout, 1 number of the dictionary, the compressed rest (length of core, core)

The dictionary is learnt anew as the population grows: the first to come do not look like those of a year.
What was packed with a former one stays readable.
"""

from __future__ import annotations

from typing import Final

import zstandard

from journey_stream.engine.state import VERSION, core_end

PACKED: Final = 0xF0
"""First byte of a packed state: no format version."""
SAMPLES: Final = 500
"""States that a dictionary is learnt from; fewer are not worth it. Learning takes a tenth of a second."""
GROWTH: Final = 8
"""A new dictionary is learnt when so many times as many states were packed as with the one before."""
DICTIONARIES: Final = 5
DICTIONARY_BYTES: Final = 32_768
LEVEL: Final = 3
_HEAD: Final = 13
"""Bytes in front of what is compressed, as in a state."""


def is_packed(blob: bytes) -> bool:
    """Tell whether a state is packed."""
    return blob[0] == PACKED


class Packing:
    """Packs states of one partition."""

    def __init__(self) -> None:
        self._samples: list[bytes | bytearray | memoryview] = []
        self._until_next = 0
        """States packed before samples are taken again."""
        self._packed = 0
        self._pack: zstandard.ZstdCompressor | None = None
        self._unpack: list[zstandard.ZstdDecompressor] = []

    @property
    def ready(self) -> bool:
        """Whether there is a dictionary."""
        return self._pack is not None

    def fits(self, blob: bytes) -> bool:
        """Tell whether a state can be packed: of the present format, not packed yet, without a history."""
        return blob[0] == VERSION and core_end(blob) == len(blob)

    def pack(self, blob: bytes) -> bytes:
        """Give a state that fits in fewer bytes; as it is, until enough have come to learn from."""
        if self._packed >= self._until_next and len(self._unpack) < DICTIONARIES:
            self._samples.append(blob[_HEAD:])
            if len(self._samples) == SAMPLES:
                self._learn()
        if self._pack is None:
            return blob
        self._packed += 1
        head = b"\xf0" + blob[1:_HEAD] + (len(self._unpack) - 1).to_bytes(1, "big")
        return head + self._pack.compress(blob[_HEAD:])

    def unpack(self, blob: bytes) -> bytes:
        """Give a packed state as it was."""
        rest = self._unpack[blob[_HEAD]].decompress(blob[_HEAD + 1 :])
        return b"\x02" + blob[1:_HEAD] + rest

    def _learn(self) -> None:
        dictionary = _dictionary(self._samples)
        # Neither magic number nor dictionary id nor checksum: what is left is the size and the data.
        plain = zstandard.FORMAT_ZSTD1_MAGICLESS
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, format=plain, write_content_size=True, write_dict_id=False, write_checksum=False
        )
        self._pack = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
        self._unpack.append(zstandard.ZstdDecompressor(dict_data=dictionary, format=plain))
        self._samples = []
        self._until_next = max(GROWTH * self._packed, GROWTH * SAMPLES)


def _dictionary(samples: list[bytes | bytearray | memoryview]) -> zstandard.ZstdCompressionDict:
    try:
        return zstandard.train_dictionary(DICTIONARY_BYTES, samples)
    except zstandard.ZstdError:
        # Too small, or too much alike, to count what is frequent in them: they are the dictionary themselves.
        plain = b"".join(samples)[-DICTIONARY_BYTES:]
        return zstandard.ZstdCompressionDict(plain, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
