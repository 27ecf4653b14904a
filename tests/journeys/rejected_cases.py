"""The folder of broken definitions: what `load` says of each, as text.

`python -m journeys.rejected_cases` (in tests/) writes the expectations anew; read the difference before it is
committed, for these lines are what authors see.
"""

from __future__ import annotations

from pathlib import Path

from journeys.definitions import findings

FOLDER = Path(__file__).parent / "rejected"
CASES = sorted(FOLDER.glob("*.yaml"))


def told(case: Path) -> str:
    """The findings of one definition, one a line, without the name of the file."""
    found = findings(case.read_text("utf-8"))
    return "".join(str(finding).removeprefix("trial.yaml:") + "\n" for finding in found)


if __name__ == "__main__":
    for each in CASES:
        each.with_suffix(".txt").write_text(told(each), "utf-8")
