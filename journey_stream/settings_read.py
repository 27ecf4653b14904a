"""Configuration text, environment and flags become `Settings`, or every problem at once.

Enters: YAML text, environment variables, flags. Leaves: `Settings`, or one `SettingsError` with all findings.
Strategy: each way in becomes the same tree of `Node`s (a value and where it was written), later ones laid
over earlier ones; then the tree is walked along the types of the structs, so that a wrong leaf is reported
with its key and line, and all of them in one go.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
import yaml

from journey_stream.errors import SettingsError
from journey_stream.settings import Part, Settings
from journey_stream.values import NEVER, SECOND, micros

PREFIX = "JOURNEY_STREAM_"
OWN_VARIABLES = frozenset({"JOURNEY_STREAM_CONFIG", "JOURNEY_STREAM_CACHE"})
"""Variables of the command line and of the embedded broker; they are no settings."""

_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND, "d": 86_400 * SECOND}
_UNITS["w"] = 7 * _UNITS["d"]
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:us|ms|[smhdw]))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|[smhdw])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[KMG]i?B)?")
_SIZES = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Node(msgspec.Struct):
    """One value and where it was written; a mapping's value is a dict of Nodes, a list's a list of Nodes."""

    value: Any
    where: str
    raw: str | None = None
    """The text as given, when it came from a variable or a flag: a password `12` is text there."""


class _Loader(yaml.SafeLoader):
    """Safe YAML where only `true` and `false` are booleans, and times stay text."""


_TAG = "tag:yaml.org,2002:"
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in {_TAG + "bool", _TAG + "timestamp"}]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))


def load_settings(
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    file: str = "configuration",
) -> Settings:
    """Read settings: YAML text, then `JOURNEY_STREAM_*` of `env`, then flags (dotted keys); the last wins.

    Raises:
        SettingsError: naming every key that is wrong, what was expected, what came, and where it was written.
    """
    problems: list[str] = []
    tree = _from_yaml(text, file) if text is not None else Node({}, file)
    for name, value in sorted((env or {}).items()):
        if name.startswith(PREFIX) and name not in OWN_VARIABLES:
            path = name.removeprefix(PREFIX).lower().split("__")
            _lay(tree, path, _scalar(value, f"environment variable {name}"), problems)
    for key, value in (overrides or {}).items():
        where = f"flag --{key.replace('.', '-').replace('_', '-')}"
        node = _scalar(value, where) if isinstance(value, str) else _plain(value, where)
        _lay(tree, key.split("."), node, problems)
    made = _struct(Settings, tree, "", problems)
    if made is not None and not problems:
        problems += _across(typing.cast(Settings, made))
    if problems:
        raise SettingsError("\n".join(problems))
    return typing.cast(Settings, made)


def parse_duration(value: object) -> int:
    """Turn `1h`, `1d12h`, `250ms`, `never` or a number of seconds into microseconds.

    >>> parse_duration("1d12h") // 3_600_000_000
    36

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40:
        return round(value * SECOND)
    if value == "never":
        return NEVER
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        return round(sum(float(n) * _UNITS[unit] for n, unit in _DURATION_PART.findall(value)))
    raise ValueError(value)


def parse_moment(value: object) -> int:
    """Turn an RFC 3339 time with an offset into microseconds since the epoch.

    Raises:
        ValueError: anything else, a time without an offset above all.
    """
    if not isinstance(value, str):
        raise ValueError(value)
    moment = datetime.fromisoformat(value.strip())
    if moment.tzinfo is None:
        raise ValueError(value)
    return micros(moment)


def parse_size(value: object) -> int:
    """Turn `1 MiB`, `512KB` or a number into bytes.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        raise ValueError(value)
    return round(float(match[1]) * _SIZES[match[2]])


_FORMS: dict[str, tuple[Callable[[object], int], str]] = {
    "duration": (parse_duration, "a duration such as 250ms, 1h, 1d12h or never, or a number of seconds"),
    "time": (parse_moment, "a time such as 2026-01-01T00:00:00Z, with its offset"),
    "size": (parse_size, "a size such as 1 MiB, 512KiB, or a number of bytes"),
}


def _from_yaml(text: str, file: str) -> Node:
    try:
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        msg = f"{file}:{line}: this is not YAML: {error.problem}"
        raise SettingsError(msg) from None
    except yaml.YAMLError as error:
        msg = f"{file}: this is not YAML: {str(error).splitlines()[0]}"
        raise SettingsError(msg) from None
    if root is None:
        return Node({}, file)
    if not isinstance(root, yaml.MappingNode):
        msg = f"{file}:1: expected `key: value` lines, found {_named(root)}"
        raise SettingsError(msg)
    return _from_node(root, file)


def _from_node(node: yaml.Node, file: str) -> Node:
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, Node] = {}
        for key, child in node.value:
            if str(key.value) in entries:
                line = key.start_mark.line + 1
                first = entries[key.value].where
                msg = f"{file}:{line}: `{key.value}` is there twice, first at {first}: keep one"
                raise SettingsError(msg)
            value = _from_node(child, file)
            entries[str(key.value)] = Node(value.value, f"{file}:{key.start_mark.line + 1}")
        return Node(entries, where)
    if isinstance(node, yaml.SequenceNode):
        return Node([_from_node(child, file) for child in node.value], where)
    return Node(_Loader("").construct_object(node), where)


def _named(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else f"`{node.value}`"


def _scalar(text: str, where: str) -> Node:
    """Read the text of a variable or flag as YAML would; what is no YAML is text."""
    try:
        node = yaml.compose(text, _Loader)
        value = _plain(_values(_from_node(node, where)), where) if node is not None else Node("", where)
    except (yaml.YAMLError, SettingsError):
        value = Node(text, where)
    if isinstance(value.value, dict) and not text.lstrip().startswith("{"):
        value = Node(text, where)
    value.raw = text
    return value


def _plain(value: object, where: str) -> Node:
    if isinstance(value, dict):
        return Node({str(key): _plain(child, where) for key, child in value.items()}, where)
    if isinstance(value, list | tuple):
        return Node([_plain(child, where) for child in value], where)
    return Node(value, where)


def _values(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _values(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [_values(child) for child in node.value]
    return node.value


def _lay(tree: Node, path: list[str], node: Node, problems: list[str]) -> None:
    for word in path[:-1]:
        child = tree.value.setdefault(word, Node({}, node.where))
        if not isinstance(child.value, dict):
            problems.append(f"{node.where}: `{word}` has no settings below it")
            return
        tree = child
    tree.value[path[-1]] = node


def _struct(kind: type[Part], node: Node, path: str, problems: list[str]) -> Part | None:
    if not isinstance(node.value, dict):
        problems.append(_problem(node, path, "settings of its own (`key: value` lines)"))
        return None
    hints = typing.get_type_hints(kind, include_extras=True)
    before = len(problems)
    made: dict[str, Any] = {}
    for key, child in node.value.items():
        full = f"{path}.{key}" if path else key
        if key in hints:
            made[key] = _read(hints[key], child, full, problems)
        else:
            close = difflib.get_close_matches(key, hints, 1, 0.6)
            hint = f" Did you mean `{close[0]}`?" if close else f" Known here: {', '.join(sorted(hints))}."
            problems.append(f"{child.where}: unknown setting `{full}`.{hint}")
    if len(problems) > before:
        return None
    try:
        return kind(**made)
    except TypeError as error:
        problems.append(f"{node.where}: `{path}`: {str(error).replace('argument', 'setting')}")
        return None


def _read(hint: Any, node: Node, path: str, problems: list[str]) -> Any:
    """Read one value by the type of its field: unwraps Annotated, optional, list and dict."""
    base, metas = _unwrapped(hint)
    form = next((meta.extra["form"] for meta in metas if meta.extra and "form" in meta.extra), None)
    origin = typing.get_origin(base)
    if origin in {types.UnionType, typing.Union}:
        if node.value is None or node.value == "":
            return None
        return _read(
            next(arm for arm in typing.get_args(base) if arm is not type(None)), node, path, problems
        )
    if isinstance(base, type) and issubclass(base, Part):
        return _struct(base, node, path, problems)
    if form is not None:
        parse, expected = _FORMS[form]
        try:
            return parse(node.value)
        except ValueError:
            problems.append(_problem(node, path, expected))
            return None
    if base is str and node.raw is not None:
        node = Node(node.raw, node.where)
    if origin is list:
        return _list(hint, base, node, path, problems)
    try:
        return msgspec.convert(_values(node), hint, strict=True)
    except msgspec.ValidationError as error:
        problems.append(_problem(node, path, _expected(base, str(error))))
        return None


def _list(hint: Any, base: Any, node: Node, path: str, problems: list[str]) -> Any:
    (item,) = typing.get_args(base)
    if isinstance(node.value, str):  # one name, or `a,b` as variables and flags say it
        words = [word.strip() for word in node.value.split(",") if word.strip()]
        node = Node([Node(word, node.where) for word in words], node.where)
    if not isinstance(node.value, list):
        problems.append(_problem(node, path, "a list"))
        return None
    if not node.value and any(meta.min_length for meta in _unwrapped(hint)[1]):
        problems.append(_problem(node, path, "at least one entry"))
    return [_read(item, child, f"{path}[{index}]", problems) for index, child in enumerate(node.value)]


def _unwrapped(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    metas: list[msgspec.Meta] = []
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        metas += more
    return hint, metas


def _expected(base: Any, error: str) -> str:
    if typing.get_origin(base) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(base))
    wanted = error.split(" - at ")[0].split(", got ")[0].replace("Expected ", "").replace("`", "")
    return {"str": "text", "int": "a whole number", "bool": "true or false", "object": "a mapping"}.get(
        wanted, wanted
    )


def _problem(node: Node, path: str, expected: str) -> str:
    shown = "***" if "password" in path else msgspec.json.encode(_values(node)).decode()[:80]
    return f"{node.where}: `{path}` must be {expected}; found {shown}"


def _across(settings: Settings) -> list[str]:
    """Check what one field alone cannot say."""
    problems = []
    if settings.dedup_window < settings.allowed_lateness:
        problems.append(
            "`dedup_window` must be at least `allowed_lateness`, or a repeated event could count twice: "
            "raise it or lower the lateness"
        )
    security = settings.security
    if security.protocol.startswith("SASL") and not security.sasl_username:
        problems.append(f"`security.sasl_username` is needed with `security.protocol` {security.protocol}")
    if security.sasl_password and security.sasl_password_file:
        problems.append("`security.sasl_password` and `security.sasl_password_file` are both set: keep one")
    if settings.rates and settings.currency is None:
        problems.append("`rates` needs `currency`: the currency that amounts are kept in")
    if len(set(settings.sources)) != len(settings.sources):
        problems.append("`sources` names a topic twice: keep one of each")
    if settings.keyed_input != "none":
        problems += [
            f"`versions`: policy `replay` for `{each.journey}` reads history from the keyed topic, which "
            "with `keyed_input` does not hold it: choose `migrate` or `keep`"
            for each in settings.versions
            if each.policy == "replay"
        ]
    return problems
