"""Which partitioner producers use: the hashes, and what their records tell."""

from __future__ import annotations

import pytest

from journey_stream.kafka import hop
from journey_stream.kafka.astray import SAMPLE, Astray, misfit

KEYS = [f"customer-{n}".encode() for n in range(1000)]


def placed(name: str, partitions: int, count: int = 60) -> set[tuple[bytes, int]]:
    place = hop.Partitioner(partitions, name)
    return {(key, place(key)) for key in KEYS[:count]}


@pytest.mark.parametrize(
    ("name", "key", "hashed"),
    [
        ("crc32", b"123456789", 0xCBF43926),
        ("murmur2", b"21", 0x7FFFFFFF & -973932308),
        ("murmur2", b"foobar", 0x7FFFFFFF & -790332482),
        # As a signed number without its sign, which is what Sarama's and librdkafka's partition comes of.
        ("fnv1a", b"", 0x100000000 - 0x811C9DC5),
        ("fnv1a", b"a", 0x100000000 - 0xE40C292C),
        ("fnv1a", b"foo", 0x100000000 - 0xA9F37ED7),
        ("fnv1a", b"foobar", 0x100000000 - 0xBF9CF968),
        ("fnv1a", b"hello", 0x4F9F2CAB),
    ],
)
def test_the_hashes_are_those_of_the_clients(name: str, key: bytes, hashed: int) -> None:
    assert hashed == hop.HASHES[name](key)
    assert hashed % 7 == hop.Partitioner(7, name)(key)


@pytest.mark.parametrize("partitions", [2, 8])
@pytest.mark.parametrize("uses", ["murmur2", "crc32", "fnv1a"])
@pytest.mark.parametrize("configured", ["murmur2", "crc32", "fnv1a"])
def test_a_start_names_the_partitioner_that_fits(uses: str, configured: str, partitions: int) -> None:
    told = misfit("j.visits", placed(uses, partitions), partitions, configured)
    if uses == configured:
        assert told is None
    else:
        assert told is not None
        assert f"`keyed_input: {configured}`: of 60 keys in topic j.visits" in told
        assert f"Set `keyed_input: {uses}`" in told


def test_a_few_keys_or_keys_that_nothing_explains_prove_nothing() -> None:
    assert misfit("t", placed("crc32", 8, 10), 8, "murmur2") is None
    assert misfit("t", {(key, n % 8) for n, key in enumerate(KEYS[:60])}, 8, "murmur2") is None
    assert misfit("t", placed("crc32", 1), 1, "murmur2") is None, "one partition fits everybody"


def test_records_keyed_otherwise_among_them_hide_nothing() -> None:
    some = placed("crc32", 4) | {(key, n % 4) for n, key in enumerate(KEYS[60:80])}
    told = misfit("t", some, 4, "murmur2")
    assert told is not None
    assert "Set `keyed_input: crc32`" in told
    assert misfit("t", some, 4, "crc32") is None
    half = placed("crc32", 4, 30) | {(key, hop.Partitioner(4)(key)) for key in KEYS[30:60]}
    assert misfit("t", half, 4, "murmur2") is None, "as many of one as of the other"


def test_while_running_the_records_in_the_wrong_partition_tell() -> None:
    own, theirs = hop.Partitioner(8), hop.Partitioner(8, "fnv1a")
    wrong = [key for key in KEYS if theirs(key) == 3 and own(key) != 3][:SAMPLE]
    astray = Astray(3, 8)
    for key in wrong[:-1] * 3:
        astray.note(key)
    assert astray.fits is None, "each key counts once"
    astray.note(wrong[-1])
    assert "fnv1a" == astray.fits
    for key in KEYS[:SAMPLE]:  # of any partition: keyed by something else
        astray.note(key)
    assert astray.fits is None
