"""The house itself: what is shown is run, what is built can be installed, what is written keeps the rules."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from journey_stream.cli import run
from journey_stream.settings import SHIPPED_JOURNEYS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FILES = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
]


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def make(*arguments: str) -> str:
    ran = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def test_make_help_lists_every_goal_with_what_it_does():
    said = make("help")
    for goal in ("help", "setup", "demo", "test", "check", "bench", "fmt"):
        assert re.search(rf"^  make {goal} +\S", said, re.MULTILINE), goal


@pytest.mark.parametrize("line", [line for line in shell_lines(README) if line.startswith("make ")])
def test_make_goals_of_the_readme_are_what_they_say(line: str):
    """Not run here, since `make test` is what runs this; but each is a goal, and does what the text says."""
    steps = make("--dry-run", "--always-make", *shlex.split(line)[1:])
    expected = {"make demo": "journey-stream demo", "make test": "-m pytest"}[line]
    assert expected in steps
    assert steps.index("deploy/install") < steps.index(expected)


def test_the_first_two_commands_of_the_readme_are_demo_and_test():
    assert ["make demo", "make test"] == shell_lines(README)[:2]


def test_the_journey_of_the_readme_runs_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    Path("first-orders.yaml").write_text(text, encoding="utf-8")
    Path("events.jsonl").write_text(
        '{"event_id":"1","type":"product_added","occurred_at":"2026-01-01T10:00:00Z","customer_id":"ada","properties":{}}\n'
        '{"event_id":"2","type":"order_completed","occurred_at":"2026-01-02T10:00:00Z","customer_id":"ada","properties":{"order_id":"o"}}\n',
        encoding="utf-8",
    )
    ran = 0
    for line in shell_lines(README):
        _, *arguments = shlex.split(line)
        if arguments and arguments[0] in {"lint", "replay"}:
            assert 0 == run(arguments), line
            ran += 1
    assert 2 == ran
    out, said = (each.decode() for each in capfdbinary.readouterr())
    assert "1 definition: 0 errors, 0 warnings" in said
    for sign in ("abandoned-cart", '"to":"buyer"', '"reason":"silence"'):
        assert sign in out


def test_the_worker_command_of_the_readme_is_understood():
    (line,) = (line for line in shell_lines(README) if "worker" in line)
    from journey_stream.cli.worker import command

    context = command.make_context("worker", shlex.split(line)[2:], resilient_parsing=True)
    assert ("HOST:PORT", ("DIR",)) == (context.params["bootstrap_servers"], context.params["journeys"])


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".md"], ids=str)
def test_links_between_pages_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / path).read_text("utf-8")):
        if "://" not in target:
            assert (ROOT / path.parent / target).exists(), f"{path}: {target}"


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.suffix == ".py" and p.parts[0] == "journey_stream"], ids=str
)
def test_modules_are_small_and_open_by_saying_what_they_are(path: Path):
    text = (ROOT / path).read_text("utf-8")
    assert len(text.splitlines()) <= 400
    assert not text.strip() or text.startswith(('"""', 'r"""')), "a module opens with its docstring"


def test_nothing_committed_names_a_place_of_this_machine():
    told = []
    words = re.compile(
        r"(?<![\w./-])/(?:work|root)/\w+|/tmp/\w{3,}|\.\./shared\b|pypi\.org|files\.pythonhosted|maven\.org"
    )
    for path in FILES:
        if (
            path.suffix in {".csv", ".svg", ".png", ".gz", ".txt"}
            or path.name == "LICENSE"
            or "house" in path.parts
        ):
            continue
        if (ROOT / path).is_file():
            text = (ROOT / path).read_text("utf-8", errors="replace")
            told += [f"{path}: {found}" for found in words.findall(text)]
    assert [] == told


def test_ci_does_what_a_newcomer_does():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "make test" in (ROOT / ".ci/run").read_text("utf-8").splitlines()


def test_pre_commit_asks_for_what_make_check_asks_for():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    asked = " ".join(hook["entry"] for hook in hooks)
    for tool in ("ruff format", "ruff check", "mypy", "lint-imports", "codespell", "journey-stream lint"):
        assert tool in asked
        assert tool in (ROOT / "Makefile").read_text("utf-8")


def test_every_dependency_says_why_it_is_there():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = text[text.index("dependencies = [") : text.index("[project.optional-dependencies]")]
    entries = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert entries
    assert [] == [line for line in entries if "#" not in line]


def test_the_architecture_is_as_drawn():
    tool = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what is committed or about to be, without network."""
    source = tmp_path_factory.mktemp("source")
    for path in FILES:
        if (ROOT / path).is_file():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / path)
    target = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(target),
        str(source),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    (made,) = target.glob("*.whl")
    return made


def test_the_wheel_holds_definitions_schemas_and_license_and_no_tests(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    for journey in SHIPPED_JOURNEYS:
        assert f"journey_stream/journeys/shipped/{journey}.yaml" in names
        assert f"journey_stream/journeys/shipped/{journey}_test.yaml" in names
    assert {f"journey_stream/scaffold/blank{each}.yaml.txt" for each in ("", "_test")} <= names
    schemas = {str(path.relative_to("schemas")) for path in FILES if path.parts[0] == "schemas"}
    assert schemas == {
        name.removeprefix("journey_stream/schemas_data/") for name in names if "/schemas_data/" in name
    }
    assert schemas
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert [] == [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_the_wheel_alone_lints_its_definitions_and_gives_its_schemas(wheel: Path, tmp_path: Path):
    """Installed into an empty environment that borrows only the dependencies of this one."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    borrowed = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    code = f"""
import sys; sys.path.append({str(borrowed)!r})
import json, journey_stream
from importlib import resources
assert journey_stream.__file__.startswith({str(site)!r}), journey_stream.__file__
schemas = resources.files("journey_stream") / "schemas_data"
assert json.loads((schemas / "events" / "order_completed.schema.json").read_text())["$schema"]
from journey_stream.cli import run
sys.exit(run(["lint"]))
"""
    ran = subprocess.run(
        [python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 0 == ran.returncode, ran.stderr
    assert "5 definitions: 0 errors" in ran.stderr
