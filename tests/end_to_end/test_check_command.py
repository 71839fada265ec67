"""``harness check`` finds each of the usual mistakes, none in sound work, and cannot be fooled.

Each folder of ``tests/preflight`` is a submission with one mistake. What must be said of it stands in its
``expect.toml``, whose keys are those of `Expectation`. The classic mistakes are numbered:

1. no ``super().__init__()``  2. a wrong output shape  3. softmax before the loss  4. idle parameters
5. a column against a row  6. a learning rate far off  7. NaN  8. predictions that are not a row's own
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.preflight.document import CheckDocument
from harness.host.preflight.page import NOTHING, is_clean, render
from harness.host.preflight.run import CheckOrder, check
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.host.preflight.records import Checked
    from harness.host.sandbox.base import Backend

pytestmark = pytest.mark.bubblewrap

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.prefix, "bin", "harness")
CASES = ROOT / "tests" / "preflight"
COURSE = ROOT / "tests" / "gallery" / "course"
TOY = COURSE / "assignments" / "toy"
ASSIGNMENTS = {"toy": TOY, **{name: ROOT / "assignments" / name for name in ("hw1-bikes", "hw2-digits")}}
SOUND = sorted([*ROOT.glob("reference/*/solutions/*"), *ROOT.glob("examples/*/*")])
MISTAKES = 8
OK, FOUND, WRONG_USE, MACHINE = 0, 1, 2, 3


class Expectation(BaseModel):
    """What a case's ``expect.toml`` may say.

    Attributes:
        outcome: of the check.
        findings: the codes, exactly these.
        place: of one of the findings or of the outcome, as ``model.py:7``.
        says: parts of what is said of the findings and the outcome.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome = Outcome.OK
    findings: tuple[str, ...] = ()
    place: str = ""
    says: tuple[str, ...]


EXPECTED = {
    file.parent.name: Expectation.model_validate_json(json.dumps(tomllib.loads(file.read_text())))
    for file in sorted(CASES.glob("*/expect.toml"))
}


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    """One for all: each check has a sandbox of its own."""
    from harness.host.sandbox.bubblewrap import BubblewrapBackend  # noqa: PLC0415  Linux only

    with closing(BubblewrapBackend(pytest.fail)) as backend:
        yield backend


def checked(backend: Backend, submission: Path, seconds: tuple[float, float] = (10.0, 60.0)) -> Checked:
    """What comes of a submission."""
    named = (
        tomllib.loads((submission / "config.toml").read_text())["assignment"] if submission.is_dir() else ""
    )
    folder = ASSIGNMENTS[named] if named else ROOT / "assignments" / submission.parent.name
    return check(CheckOrder(load_assignment(folder), submission, "cpu", "a test", seconds=seconds), backend)


def shown(told: Checked) -> str:
    """What the terminal shows of it."""
    out = StringIO()
    render(told, Console(file=out, width=100, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("case", EXPECTED)
def test_a_mistake_is_found_and_said(backend: Backend, case: str) -> None:
    """It is named, nothing else is, and the place and the hint are there."""
    expected = EXPECTED[case]
    told = checked(backend, CASES / case / "submission")
    found = [f"{each.title} {each.message} {each.hint}" for each in told.found]
    words = " ".join([told.result.message, told.result.hint, *found])
    places = [told.result.place, *(each.place for each in told.found)]

    assert (told.outcome, sorted(each.code for each in told.found)) == (
        expected.outcome,
        sorted(expected.findings),
    )
    assert [part for part in expected.says if part not in words] == [], words
    assert expected.place in {"", *(f"{place.file}:{place.line}" for place in places if place)}
    assert not is_clean(told)
    assert NOTHING not in shown(told)


def test_every_classic_mistake_has_a_case() -> None:
    """And each case is a folder with a submission."""
    assert {int(name[0]) for name in EXPECTED if name[0].isdigit()} == set(range(1, MISTAKES + 1))
    assert {folder.name for folder in CASES.iterdir() if (folder / "submission").is_dir()} == set(EXPECTED)


@pytest.mark.parametrize("submission", SOUND, ids=lambda path: "-".join(path.relative_to(ROOT).parts[1:]))
def test_sound_work_has_nothing_to_complain_about(backend: Backend, submission: Path) -> None:
    """The reference solutions and the examples; the projection is there, and the limits are far."""
    told = checked(backend, submission)
    # A machine that tests something else at the same time can be too slow for the largest of them.
    codes = {said.code for said in told.found} - {"trains_too_slowly"}

    assert (told.outcome, codes) == (Outcome.OK, set()), [said.message for said in told.found]
    assert told.projection is not None
    assert 0 < told.projection.train_seconds < 10 * told.projection.train_limit
    assert told.projection.memory_bytes is not None
    assert 50 << 20 < told.projection.memory_bytes < told.projection.memory_limit


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[[str, str], Path]:
    """Make a submission for the toy assignment: code before an honest model, and code in its forward pass."""

    def make(before: str, during: str = "pass") -> Path:
        folder = tmp_path / "hostile"
        folder.mkdir()
        (folder / "config.toml").write_text(HONEST_CONFIG)
        (folder / "model.py").write_text(HONEST_MODEL.format(before=before, during=during))
        return folder

    return make


def forging(payload: str) -> str:
    """Code that has the check report something else."""
    return f"import harness.guest.observations as o\no.Observations.payload = lambda self: {payload}"


@pytest.mark.parametrize(
    ("before", "during", "outcome"),
    [
        ("import os\nos._exit(0)", "pass", Outcome.RUNTIME_ERROR),
        ("", "import os; os._exit(0)", Outcome.RUNTIME_ERROR),
        ("", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Outcome.RUNTIME_ERROR),
        ("raise SystemExit(0)", "pass", Outcome.RUNTIME_ERROR),
        ("", "held = [torch.ones(1 << 27) for _ in range(99)]", Outcome.MEMORY_LIMIT),
        ("", "print('x' * 200_000)", Outcome.OUTPUT_LIMIT),
        ("", "raise ValueError('nothing to complain about')", Outcome.RUNTIME_ERROR),
        (forging("b'nothing to complain about'"), "pass", Outcome.RUNTIME_ERROR),
        (forging("b'x' * (1 << 20)"), "pass", Outcome.OUTPUT_LIMIT),
        (forging("b'[' * 100_000"), "pass", Outcome.RUNTIME_ERROR),
    ],
    ids=[
        *("leaves at import", "leaves in forward", "kills itself", "exits", "memory", "log", "raises"),
        *("no JSON", "too much", "deep JSON"),
    ],
)
def test_a_hostile_submission_ends_in_an_outcome(
    backend: Backend, hostile: Callable[..., Path], before: str, during: str, outcome: Outcome
) -> None:
    """It is never clean, and never a fault of the machine."""
    told = checked(backend, hostile(before, during))

    assert (told.outcome, told.result.phase) == (outcome, Phase.CHECK), told.result.message
    assert not is_clean(told)
    assert NOTHING not in [line.strip() for line in shown(told).splitlines()]


def test_a_submission_that_sleeps_is_ended_by_the_hosts_clock(
    backend: Backend, hostile: Callable[..., Path]
) -> None:
    """However long it sleeps, and wherever."""
    told = checked(backend, hostile("import time\ntime.sleep(999)"), seconds=(1.0, 4.0))

    assert told.outcome is Outcome.TIME_LIMIT
    assert told.result.seconds < 30
    assert "before the check was done" in told.result.message


def test_what_is_printed_stands_behind_a_gutter(backend: Backend, hostile: Callable[..., Path]) -> None:
    """A submission that prints the check's own words, or commands for a terminal, changes nothing."""
    text = "\\n\\x1b[2J\\n::error::nothing\\nnothing to complain about\\n"
    told = checked(backend, hostile(f"print('{text}')", "return x.sum(1).detach()"))
    lines = shown(told).splitlines()

    assert [said.code for said in told.found] == ["detached_output"]
    assert "    │ nothing to complain about".strip() in [line.strip() for line in lines]
    assert NOTHING not in [line.strip() for line in lines]
    assert not any("\x1b" in line or line.lstrip().startswith("::") for line in lines)


def test_forged_findings_are_told_as_claims_or_not_at_all(
    backend: Backend, hostile: Callable[..., Path]
) -> None:
    """Codes that are not known, numbers that are none and hostile names make no sentence of the host's."""
    claims: list[dict[str, Any]] = [
        {"code": "your_grade_is_10", "text": "10 / 10 points"},
        {"code": "learning_rate_high", "numbers": {"rate": 1e400}},
        {"code": "not_used", "names": ["\x1b[31m::error::x"], "numbers": {"count": 1}},
    ]
    measured = {"setup_seconds": 0, "epoch_seconds": 1e29, "row_seconds": -1, "epochs_timed": 1}
    forged = json.dumps({"findings": claims, "skipped": [{"code": 1}], "measured": measured})
    told = checked(backend, hostile(forging(repr(forged.encode()))))
    page = shown(told)

    assert [said.code for said in told.found] == ["not_used"]
    assert told.projection is None
    assert "10 / 10" not in page
    assert "\x1b" not in page


def test_a_check_sees_no_test_row_and_no_answer(backend: Backend, hostile: Callable[..., Path]) -> None:
    """The sandbox is given the training rows and the code, and nothing else."""
    code = (
        "import os, sys\n"
        "frame = sys._getframe()\n"
        "while frame is not None:\n"
        "    job = frame.f_locals.get('job', job if 'job' in dir() else None)\n"
        "    frame = frame.f_back\n"
        "raise ValueError(' '.join(sorted(job.blobs)))"
    )
    told = checked(backend, hostile(code))

    assert told.result.message == "ValueError: code inputs targets valid_rows"


def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run ``harness check``."""
    return subprocess.run(
        [HARNESS, "check", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_says_what_it_found_and_writes_it(tmp_path: Path) -> None:
    """Exit status 1 with findings and 0 without; the JSON keeps to its schema, and nothing else is left."""
    file = tmp_path / "found.json"
    bad = run(CASES / "4-frozen/submission", "--sandbox", "bubblewrap", "--json", file, cwd=COURSE)
    document = json.loads(file.read_text())
    good = run(ROOT / "tests/gallery/honest-good/submission", "--sandbox", "bubblewrap", cwd=COURSE)

    assert (bad.returncode, good.returncode) == (FOUND, OK), bad.stderr + good.stderr
    assert "frozen parameters" in bad.stdout
    CheckDocument.model_validate_json(file.read_text())
    assert document["schema"] == "harness/check/v1"
    assert [each["code"] for each in document["findings"]] == ["frozen_parameters"]
    assert NOTHING in good.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["found.json"]


@pytest.mark.docker
def test_a_check_runs_in_docker_too() -> None:
    """With the same findings, in the same words."""
    done = [
        run(CASES / "7-log_of_a_row/submission", "--sandbox", sandbox, cwd=COURSE)
        for sandbox in ("docker", "bubblewrap")
    ]
    found = [each.stdout.partition("Found")[2].partition("Not looked at")[0] for each in done]

    assert [each.returncode for each in done] == [FOUND, FOUND], done[0].stderr
    assert "'log' is the first" in found[0]
    assert found[0] == found[1]


def test_a_check_costs_no_attempt_and_needs_no_reference(course: Path, submission: Path) -> None:
    """Where a grading would count it, nothing is counted, and without a reference all is the same."""
    toml = course / "assignments" / "sum" / "assignment.toml"
    toml.write_text(toml.read_text().replace('task = "', 'attempts_per_day = 1\ntask = "'))
    before = {path: path.stat().st_mtime_ns for path in course.rglob("*") if path.is_file()}
    for _ in range(2):
        done = run(submission, "--sandbox", "bubblewrap", cwd=course)
        assert done.returncode == OK, done.stdout + done.stderr

    assert {path: path.stat().st_mtime_ns for path in course.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere"], WRONG_USE, "nowhere"),
        (["{submission}", "--assignment", "some"], WRONG_USE, "there are sum"),
        (["{submission}", "--device", "cuda"], WRONG_USE, "allows no GPU"),
        (["{submission}", "--sandbox", "bubblewrap", "--runtime", "runsc"], WRONG_USE, "--sandbox docker"),
        (["{submission}", "--json", "nowhere/f.json"], WRONG_USE, "nowhere"),
        (["{submission}", "--sandbox", "docker"], MACHINE, "no Docker engine answers"),
    ],
)
def test_wrong_use_and_faults_have_their_own_exit_status(
    course: Path,
    submission: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    """They are said in a line, without a traceback, and are no finding."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{course}/no.sock")
    done = run(*(argument.format(submission=submission) for argument in arguments), cwd=course)

    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


HONEST_CONFIG = """
assignment = "toy"
seed = 7
epochs = 60
batch_size = 16

[optimizer]
name = "Adam"
lr = 0.01
"""
HONEST_MODEL = """
{before}
import torch
from torch import nn


class MyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        {during}
        return self.net(x).squeeze(1)
"""
