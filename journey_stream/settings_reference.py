"""The reference page and the JSON Schema of the configuration, made from the structs of `settings`.

Enters: nothing. Leaves: text. `python -m journey_stream.settings_reference FILE` writes the page, with
`--check` it compares; a test does so too, so that the page and the code cannot differ.
"""

from __future__ import annotations

import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal

import msgspec

from journey_stream.settings import Part, Settings
from journey_stream.values import DAY, HOUR, MINUTE, NEVER, SECOND

_FORMS = {"duration": "duration", "time": "time", "size": "size"}
_PATTERNS: dict[str, dict[str, Any]] = {
    "duration": {
        "type": ["string", "number"],
        "pattern": r"^(never|(\d+(\.\d+)?(us|ms|s|m|h|d|w))+)$",
        "minimum": 0,
    },
    "time": {"type": "string", "format": "date-time"},
    "size": {"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*(B|[KMG]i?B)?$", "minimum": 1},
}

_HEAD = """\
# Configuration

One YAML file (`--config FILE`, or `JOURNEY_STREAM_CONFIG`), then environment variables, then flags: the
last one wins. Every setting has a variable (`JOURNEY_STREAM_` and its name in capitals, groups divided by two
underscores: `JOURNEY_STREAM_SECURITY__SASL_PASSWORD`) and a flag (`--set security.sasl_mechanism=PLAIN`).
Unknown keys are refused, all problems at once.

Durations are written `250ms`, `30s`, `15m`, `4h`, `120d`, `2w`, `1d12h` or `never`, or as a number of
seconds; times as RFC 3339 with an offset; sizes as `512KiB`, `1 MiB` or a number of bytes; lists in a
variable or flag with commas.

This page is made from the code (`make schemas`); a test fails when it differs.
"""


def page() -> str:
    """Write the reference page."""
    lines = [_HEAD]
    lines += _table("", Settings)
    for name, kind in _groups():
        lines += ["", f"## {name}", "", _first(kind), ""]
        lines += _table("" if name.endswith("[]") else f"{name}.", kind)
    return "\n".join(lines) + "\n"


def config_schema() -> dict[str, Any]:
    """Make the JSON Schema (2020-12) of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of journey_stream",
        **_object(Settings),
    }


def _groups() -> list[tuple[str, type[Part]]]:
    found: list[tuple[str, type[Part]]] = []
    for field in msgspec.structs.fields(Settings):
        base, _ = _unwrapped(_hints(Settings)[field.name])
        if typing.get_origin(base) is list and _is_part(typing.get_args(base)[0]):
            found.append((f"{field.name}[]", typing.get_args(base)[0]))
        elif _is_part(base):
            found.append((field.name, base))
    return found


def _table(prefix: str, kind: type[Part]) -> list[str]:
    lines = ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        base, metas = _unwrapped(_hints(kind)[field.name])
        if _is_part(base):
            name = f"{prefix}{field.name}"
            lines.append(f"| `{name}` | [group](#{name}) | | {_meaning(metas)} |")
            continue
        shown = _shown(_default(field), _form(base, metas))
        lines.append(f"| `{prefix}{field.name}` | {_kind(base, metas)} | {shown} | {_meaning(metas)} |")
    return lines


def _kind(base: Any, metas: list[msgspec.Meta]) -> str:
    origin = typing.get_origin(base)
    if origin is Literal:
        return " · ".join(f"`{choice}`" for choice in typing.get_args(base))
    if origin in {types.UnionType, typing.Union}:
        arm, more = _unwrapped(_arm(base))
        return _kind(arm, [*metas, *more])
    form = _form(base, metas)
    if form:
        return _FORMS[form]
    if origin is list:
        item, more = _unwrapped(typing.get_args(base)[0])
        return "list of groups, below" if _is_part(item) else f"list of {_kind(item, more)}"
    if origin is dict:
        return "mapping"
    return {str: "text", int: "whole number", float: "number", bool: "`true` · `false`"}.get(base, str(base))


def _shown(value: Any, form: str | None) -> str:
    if value is msgspec.NODEFAULT:
        return "required"
    if value is None:
        return ""
    if form == "duration":
        return f"`{duration_text(value)}`"
    if form == "size":
        return f"`{value // 2**20} MiB`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | dict):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{value}`"


def duration_text(value: int) -> str:
    """Write a duration as the configuration would."""
    if value == NEVER:
        return "never"
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1_000)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}us"


def _object(kind: type[Part]) -> dict[str, Any]:
    properties, required = {}, []
    for field in msgspec.structs.fields(kind):
        base, metas = _unwrapped(_hints(kind)[field.name])
        made = _schema(base, metas)
        if meaning := _meaning(metas):
            made["description"] = meaning
        properties[field.name] = made
        if _default(field) is msgspec.NODEFAULT:
            required.append(field.name)
    made = {"type": "object", "additionalProperties": False, "properties": properties}
    return made | ({"required": required} if required else {})


def _schema(base: Any, metas: list[msgspec.Meta]) -> dict[str, Any]:
    origin = typing.get_origin(base)
    if origin in {types.UnionType, typing.Union}:
        arm, more = _unwrapped(_arm(base))
        return {"anyOf": [_schema(arm, [*metas, *more]), {"type": "null"}]}
    form = _form(base, metas)
    if form:
        return dict(_PATTERNS[form])
    if _is_part(base):
        return _object(base)
    if origin is list:
        item, more = _unwrapped(typing.get_args(base)[0])
        made: dict[str, Any] = {"type": "array", "items": _schema(item, more)}
        if any(meta.min_length for meta in metas):
            made["minItems"] = 1
        return made
    plain = dict(msgspec.json.schema(base))
    for meta in metas:
        for name, word in (("ge", "minimum"), ("le", "maximum"), ("pattern", "pattern")):
            if getattr(meta, name) is not None:
                plain[word] = getattr(meta, name)
    return plain


def _hints(kind: type[Part]) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _unwrapped(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    metas: list[msgspec.Meta] = []
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        metas += more
    return hint, metas


def _arm(base: Any) -> Any:
    return next(arm for arm in typing.get_args(base) if arm is not type(None))


def _form(base: Any, metas: list[msgspec.Meta]) -> str | None:
    if typing.get_origin(base) in {types.UnionType, typing.Union}:
        arm, more = _unwrapped(_arm(base))
        return _form(arm, more)
    return next((meta.extra["form"] for meta in metas if meta.extra and "form" in meta.extra), None)


def _meaning(metas: list[msgspec.Meta]) -> str:
    return next((meta.description for meta in metas if meta.description), "")


def _first(kind: type[Part]) -> str:
    return (kind.__doc__ or "").strip()


def _is_part(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, Part)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def main(arguments: list[str]) -> int:
    """Write the page to a file, or with `--check` compare."""
    check = "--check" in arguments
    (target,) = (Path(each) for each in arguments if each != "--check")
    if not check:
        target.write_text(page(), encoding="utf-8")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{target} differs from the settings: run `make schemas`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
