"""The embedded Kafka: starts, answers, keeps its data, and leaves nothing behind however its owner ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from journey_stream.broker import EmbeddedKafka, ScramUser
from journey_stream.broker.embedded import answers, free_port
from journey_stream.broker.jars import class_path, default_cache
from journey_stream.broker.properties import Listener, Quorum, as_text, server_properties
from journey_stream.errors import BrokerError
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Security, Settings, TopicNames

pytestmark = pytest.mark.broker


def processes_with(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in command:
                found.append(int(entry.name))
    return found


def gone(text: str, within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while processes_with(text):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


async def test_data_outlive_a_restart_and_nothing_runs_after_a_stop(tmp_path: Path):
    kafka = EmbeddedKafka(tmp_path)
    with kafka:
        assert processes_with(str(tmp_path))
        settings = Settings(bootstrap_servers=kafka.bootstrap)
        first = await ensure_topics(settings)
        address = kafka.bootstrap
    assert gone(str(tmp_path), 1)
    assert not answers(kafka.host, kafka.port)

    with kafka:
        assert address == kafka.bootstrap
        again = await ensure_topics(settings)
    assert TopicNames.of(settings).all() == first.created == again.present


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_kafka_ends_when_its_owner_is_killed(tmp_path: Path, how: signal.Signals):
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("up ")
    assert processes_with(str(tmp_path))
    owner.send_signal(how)
    owner.wait(30)
    owner.stdout.close()
    assert gone(str(tmp_path))


_OWNER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by whoever is started in the background
from journey_stream.broker import EmbeddedKafka
print("up", EmbeddedKafka(sys.argv[1]).start().bootstrap, flush=True)
time.sleep(600)
"""


def test_kafka_ends_even_when_its_keeper_is_killed(tmp_path: Path):
    kafka = EmbeddedKafka(tmp_path).start()
    assert kafka._process is not None
    os.kill(kafka._process.pid, signal.SIGKILL)
    assert gone(str(tmp_path))
    kafka.stop()


async def test_tls_and_scram_let_the_right_user_in_and_nobody_else(tmp_path: Path):
    with EmbeddedKafka(tmp_path, users=[ScramUser("ada", "tall-tree")]) as kafka:

        def protected(**more: object) -> Settings:
            security = {
                "protocol": "SASL_SSL",
                "sasl_username": "ada",
                "ssl_cafile": str(kafka.cafile),
                **more,
            }
            return Settings(
                bootstrap_servers=kafka.secure_bootstrap,
                security=Security(**security),  # type: ignore[arg-type]
                startup_timeout=2_000_000,
            )

        word = tmp_path / "password"
        word.write_text("tall-tree\n", encoding="utf-8")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            found = await ensure_topics(protected(sasl_password_file=str(word), sasl_mechanism=mechanism))
            assert found.created or found.present
        with pytest.raises(BrokerError, match=r"no Kafka at 127\.0\.0\.1:\d+ .*`security` settings"):
            await ensure_topics(protected(sasl_password="wrong"))
        with pytest.raises(BrokerError, match="`security` settings"):  # a certificate nobody vouched for
            await ensure_topics(protected(sasl_password="tall-tree", ssl_cafile=None))


def test_a_port_that_is_taken_is_a_clear_error(tmp_path: Path, kafka: EmbeddedKafka):
    other = EmbeddedKafka(tmp_path, kafka.port, start_timeout=30)
    with pytest.raises(BrokerError, match=f"port {kafka.port} is in use"):
        other.start()
    assert not other.running


def test_a_listener_that_was_not_asked_for_is_a_clear_error(tmp_path: Path):
    with pytest.raises(BrokerError, match="give it `users`"):
        _ = EmbeddedKafka(tmp_path).secure_bootstrap


def test_a_cache_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path):
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(BrokerError, match="Point JOURNEY_STREAM_CACHE at a folder you may write"):
        class_path(taken)


def test_the_cache_folder_is_the_users_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("JOURNEY_STREAM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "journey-stream" == default_cache()
    monkeypatch.setenv("JOURNEY_STREAM_CACHE", str(tmp_path / "own"))
    assert tmp_path / "own" == default_cache()


def test_the_jars_are_fetched_once(kafka: EmbeddedKafka):
    told: list[str] = []
    assert "kafka" in class_path(tell=told.append)
    assert [] == told


def test_properties_of_a_plain_node_name_no_protected_listener(tmp_path: Path):
    made = server_properties(tmp_path, Listener(1, 2))
    assert made["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert not [key for key in made if key.startswith("ssl.")]
    assert as_text({"a": "b\\c"}) == "a=b\\\\c\n"


def test_given_properties_win(tmp_path: Path):
    assert server_properties(tmp_path, Listener(1, 2), more={"num.partitions": "1"})["num.partitions"] == "1"


def test_nodes_of_a_cluster_know_each_other_and_keep_three_copies(tmp_path: Path):
    made = server_properties(tmp_path, Listener(1, 12), quorum=Quorum("id", 2, {1: 11, 2: 12, 3: 13}))
    assert made["node.id"] == "2"
    assert made["controller.quorum.voters"] == "1@127.0.0.1:11,2@127.0.0.1:12,3@127.0.0.1:13"
    assert {"3"} == {value for key, value in made.items() if key.endswith("replication.factor")}
    assert {"2"} == {value for key, value in made.items() if key.endswith(("min.isr", "min.insync.replicas"))}


def test_a_node_alone_keeps_one_copy(tmp_path: Path):
    made = server_properties(tmp_path, Listener(1, 2))
    copies = {
        v for k, v in made.items() if k.endswith(("replication.factor", "min.isr", "min.insync.replicas"))
    }
    assert {"1"} == copies


def test_a_free_port_is_free():
    assert not answers("127.0.0.1", free_port(), timeout=0.5)
