"""What a worker writes with is looked for before it writes."""

from __future__ import annotations

import pytest

from journey_stream.errors import SettingsError
from journey_stream.kafka import sender
from journey_stream.settings import Compression


@pytest.mark.parametrize("where", ["public", "internal"])
def test_a_codec_that_is_not_installed_is_refused_before_anything_is_written(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Compression(**{where: "zstd"})
    sender.check_codecs(asked)
    monkeypatch.setitem(sender._PACKAGED, "zstd", lambda: False)
    with pytest.raises(SettingsError, match=rf"`compression\.{where}: zstd`: expected the package `cramjam`"):
        sender.check_codecs(asked)
    sender.check_codecs(Compression(public="gzip"))
