"""Configuration as an operator meets it: files, variables, flags, and every mistake with its way out."""

import pytest

from journey_stream.errors import SettingsError
from journey_stream.settings import Settings, TopicNames
from journey_stream.settings_read import load_settings, parse_duration, parse_moment, parse_size
from journey_stream.values import DAY, HOUR, NEVER, SECOND


def problems(text: str, env: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(text, env or {}, flags, file="app.yaml")
    return str(caught.value).splitlines()


def test_nothing_given_is_the_defaults():
    assert load_settings() == Settings()
    assert Settings().allowed_lateness == HOUR


def test_an_empty_file_is_the_defaults():
    assert load_settings("# only a comment\n") == Settings()


def test_an_unknown_key_is_refused_with_its_line_and_a_suggestion():
    assert ["app.yaml:2: unknown setting `allowed_latenes`. Did you mean `allowed_lateness`?"] == problems(
        "partitions: 4\nallowed_latenes: 2h\n"
    )


def test_an_unknown_key_in_a_group_lists_what_is_known_when_nothing_is_close():
    assert ["app.yaml:2: unknown setting `fetch.xyz`. Known here: records."] == problems("fetch:\n  xyz: 1\n")


def test_all_problems_come_at_once():
    found = problems("clock: sun\npartitions: 0\nweb: {port: 99999}\ncatch_up: soon\n")
    assert [1, 2, 3, 4] == [int(line.split(":")[1]) for line in found]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clock: sun", '`clock` must be one of wall, event; found "sun"'),
        ("max_buffered: 1.5", "`max_buffered` must be a whole number; found 1.5"),
        ("topic_prefix: 5", "`topic_prefix` must be text; found 5"),
        ("until: 2026-01-01", "`until` must be a time such as 2026-01-01T00:00:00Z, with its offset"),
        ("dedup_window: abc", "`dedup_window` must be a duration such as 250ms, 1h, 1d12h or never"),
        ("max_event_bytes: -1", "`max_event_bytes` must be a size such as 1 MiB"),
        ("retention: 7d", "`retention` must be settings of its own"),
        ("journeys: []", "`journeys` must be at least one entry"),
        ("web: {port: 1, port: 2}", "`port` is there twice"),
        ("- a", "expected `key: value` lines, found a list"),
        ("a: [", "this is not YAML"),
        ("event_types: [{actor: customer}]", "Missing required setting 'name'"),
    ],
)
def test_each_mistake_names_the_key_what_was_expected_and_what_came(text: str, told: str):
    (line,) = problems(text)
    assert line.startswith("app.yaml:1: ")
    assert told in line


def test_variables_lie_over_the_file_and_flags_over_both():
    made = load_settings(
        "partitions: 2\nmax_buffered: 2\ncatch_up: 2m\n",
        {"JOURNEY_STREAM_MAX_BUFFERED": "3", "JOURNEY_STREAM_CATCH_UP": "3m", "HOME": "/nowhere"},
        {"catch_up": "4m"},
    )
    assert (2, 3, 240 * SECOND) == (made.partitions, made.max_buffered, made.catch_up)


def test_two_underscores_reach_into_groups():
    made = load_settings(None, {"JOURNEY_STREAM_CHECKPOINT__INTERVAL": "1s"})
    assert made.checkpoint.interval == SECOND
    assert made.checkpoint.records == Settings().checkpoint.records


def test_a_variable_that_looks_like_a_number_is_text_where_text_is_asked_for():
    made = load_settings(None, {"JOURNEY_STREAM_SECURITY__SASL_PASSWORD": "0123"})
    assert made.security.sasl_password == "0123"


def test_lists_in_variables_are_divided_by_commas():
    assert ["a", "b"] == load_settings(None, {"JOURNEY_STREAM_SOURCES": "a, b"}).sources


def test_brokers_with_ports_stay_one_text():
    made = load_settings(None, {}, {"bootstrap_servers": "one:9092,two:9092"})
    assert made.bootstrap_servers == "one:9092,two:9092"


def test_a_mistake_in_a_variable_names_the_variable():
    found = problems("", {"JOURNEY_STREAM_PARTITIONS": "many"})
    assert [
        'environment variable JOURNEY_STREAM_PARTITIONS: `partitions` must be a whole number; found "many"'
    ] == found


def test_a_password_never_shows_in_an_error():
    (line,) = problems("security: {sasl_password: [secret]}")
    assert "secret" not in line
    assert "***" in line


def test_what_one_key_alone_cannot_say_is_checked_too():
    assert "`dedup_window` must be at least `allowed_lateness`" in problems("allowed_lateness: 8d")[0]
    assert "`security.sasl_username` is needed" in problems("security: {protocol: SASL_SSL}")[0]
    assert "`rates` needs `currency`" in problems("rates: {USD: 0.9}")[0]
    assert "`sources` names a topic twice" in problems("sources: [a, a]")[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("250ms", 250_000),
        ("1d12h", 36 * HOUR),
        ("2w", 14 * DAY),
        ("never", NEVER),
        (1.5, 1_500_000),
        ("0s", 0),
    ],
)
def test_durations(text: object, meant: int):
    assert meant == parse_duration(text)


@pytest.mark.parametrize("text", ["", "1", "h1", "1h ago", "-1h", -1, True, None, [], float("nan")])
def test_what_is_no_duration(text: object):
    with pytest.raises(ValueError):  # noqa: PT011  (the caller writes the message)
        parse_duration(text)


def test_sizes_and_moments():
    assert [2**20, 512_000, 7] == [parse_size("1 MiB"), parse_size("512KB"), parse_size(7)]
    assert parse_moment("2026-01-01T01:00:00+01:00") == 1_767_225_600_000_000


def test_topic_names_follow_from_prefix_and_application():
    names = TopicNames.of(Settings(topic_prefix="shop", application_id="eu", sources=["visits"]))
    assert (
        "shop.visits",
        "shop.events",
        "shop.transitions",
        "shop.signals",
        "shop.stages",
        "shop.dead_letters",
        "shop.redriven",
        "shop.control",
        "eu-customers-changelog",
    ) == names.all()
    assert (
        names.transition_topic("four-cycles", "development/search")
        == "shop.transitions.four-cycles.development.search"
    )
