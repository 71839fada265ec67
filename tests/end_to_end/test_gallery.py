"""The gallery: each folder of ``tests/gallery`` is a submission with the verdict that it must get.

Every case goes through the public command, in every sandbox. What it expects stands in its ``expect.toml``,
whose keys are those of `Expectation`.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import runpy
import secrets
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import docker
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from harness.host.data import validation_rows
from harness.host.image import connect, ensure_image
from harness.host.report.schema import StaffDocument, StudentDocument
from harness.host.runtime import ensure_guest_runtime
from harness.host.sandbox.base import SandboxSpec
from harness.host.sandbox.bubblewrap import BubblewrapBackend
from harness.host.sandbox.docker import DockerBackend
from harness.host.sandbox.docker_end import RUN_LABEL
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from harness.host.sandbox.base import Backend

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.prefix, "bin", "harness")
GALLERY = ROOT / "tests" / "gallery"
COURSE = GALLERY / "course"
SANDBOXES = ("docker", "bubblewrap")
GVISOR = "gvisor"  # Docker with another runtime, where the engine has it
OPTIONS = {
    "docker": ("--sandbox", "docker"),
    "bubblewrap": ("--sandbox", "bubblewrap"),
    GVISOR: ("--sandbox", "docker", "--runtime", "runsc"),
}
FEEDBACK_ENDINGS = {"docker": "md", "bubblewrap": "json", GVISOR: "json"}  # a command writes one form of two
SECRET_NAME = "HARNESS_TEST_SECRET"  # noqa: S105  the name of a variable
SECONDS_TO_VANISH = 10.0
SECONDS_TO_OPEN = 60.0
MAKE = runpy.run_path(str(GALLERY / "builders.py"))
BUILDERS, SECRET_LINE, raised = MAKE["BUILDERS"], MAKE["SECRET_LINE"], MAKE["raised"]
NEIGHBOURS: dict[str, str] = MAKE["NEIGHBOURS"]
LISTEN = """
import socket
with socket.socket(socket.AF_UNIX) as end, socket.socket(socket.AF_UNIX) as visitor:
    end.bind({address!r})
    end.listen()
    visitor.connect({address!r})
    print("open", flush=True)
    while True:
        end.accept()
"""


VERDICT = {"outcome", "phase", "message", "hint", "points", "checks"}


class Expectation(BaseModel):
    """What a case's ``expect.toml`` may say.

    Attributes:
        seconds: for the whole command; far more than an idle machine needs, far less than a hang takes.
        message: parts of the report's message.
        hint: parts of the report's hint.
        absent: what may be in nothing that is shown.
        points: of the staff report.
        checks: outcome of some of the checks.
        leftover: an argument of a process that must be gone.
        build: a function of ``builders.py`` that makes the submission.
        neighbours: whether this process and a second sandbox listen meanwhile, at the builders' `NEIGHBOURS`.
        sandboxes: where the case can run, if not in all; elsewhere it is skipped with the `reason`.
        machine: the processor that the case is written for, if for one; on others it is skipped likewise.
        gvisor: which of these keys are different under gVisor, which is the kernel there, with a `reason`;
            with an outcome in it, it has the whole verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    phase: Phase | None = None
    assignment: str = "toy"
    seconds: float = 120.0
    message: tuple[str, ...] = ()
    hint: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    points: float | None = None
    checks: dict[str, str] = {}
    leftover: str = ""
    build: str = ""
    neighbours: bool = False
    sandboxes: tuple[str, ...] = SANDBOXES
    machine: str = ""
    reason: str = ""
    gvisor: dict[str, Any] = {}

    def in_sandbox(self, sandbox: str) -> Expectation:
        """The expectation in one of the sandboxes."""
        if sandbox != GVISOR or not self.gvisor:
            return self
        rest = self.model_dump(exclude=VERDICT if "outcome" in self.gvisor else None)
        return Expectation.model_validate(rest | self.gvisor)

    def why_not_in(self, sandbox: str) -> str:
        """Why the case does not run in a sandbox; an empty text where it does."""
        here = self.in_sandbox(sandbox)
        able = OPTIONS[sandbox][1] in here.sandboxes and here.machine in {"", platform.machine()}
        return "" if able else here.reason


@dataclass(frozen=True)
class Shown:
    """All that one command showed or wrote, and its exit status."""

    status: int
    terminal: str
    report: str
    feedback: str
    junit: str

    def documents(self) -> dict[str, str]:
        """Every text by its name."""
        return {
            "terminal": self.terminal,
            "report": self.report,
            "feedback": self.feedback,
            "junit": self.junit,
        }


EXPECTED = {
    file.parent.name: Expectation.model_validate(tomllib.loads(file.read_text()))
    for file in sorted(GALLERY.glob("*/expect.toml"))
}


def _runs(case: str, expected: Expectation) -> list[ParameterSet]:
    """One run of the case in each sandbox; where it cannot run, one that is skipped and says why."""
    runs = []
    for sandbox in OPTIONS:
        why_not = expected.why_not_in(sandbox)
        unable = pytest.mark.skip(reason=f"not run in {sandbox}: {why_not}")
        mark = unable if why_not else getattr(pytest.mark, sandbox)
        runs.append(pytest.param(case, sandbox, id=f"{case}-{sandbox}", marks=mark))
    return runs


CASES = [run for case, expected in EXPECTED.items() for run in _runs(case, expected)]


@pytest.fixture(scope="module")
def _guest_packages() -> None:
    """Lay out bubblewrap's packages once, before any case's time counts."""
    ensure_guest_runtime()


@pytest.mark.usefixtures("_guest_packages")
@pytest.mark.parametrize(("case", "sandbox"), CASES)
def test_submission_gets_its_verdict(case: str, sandbox: str, tmp_path: Path) -> None:
    """Outcome, message, hint, exit status and points are the expected ones, and nothing leaks or is left."""
    expected, secret = EXPECTED[case].in_sandbox(sandbox), secrets.token_hex(16)
    private = _private_texts(tmp_path, secret)
    submission = _submission(case, tmp_path, private)
    with _neighbours(sandbox) if expected.neighbours else nullcontext():
        shown = _grade(submission, sandbox, tmp_path, expected, secret)
    report = StaffDocument.model_validate_json(shown.report)
    said = f"{report.outcome} in {report.phase}: {report.message!r}, hint {report.hint!r}\n{shown.terminal}"
    assert (report.outcome, report.phase) == (expected.outcome, expected.phase), said
    assert shown.status == (0 if expected.outcome is Outcome.OK else 1), said
    assert [part for part in expected.message if part not in report.message] == [], said
    assert [part for part in expected.hint if part not in report.hint] == [], said
    outcomes = {check.name: check.outcome for check in report.checks}
    assert {name: outcomes.get(name) for name in expected.checks} == expected.checks, said
    assert expected.points is None or report.points == expected.points, said
    assert report.environment.sandbox == OPTIONS[sandbox][1]
    assert report.environment.isolated
    _assert_nothing_leaks(
        shown, [*expected.absent, SECRET_LINE.split()[0], *private.values(), *_hidden_rows()]
    )
    _assert_nothing_is_left(report.run_id, sandbox, expected.leftover)


def _submission(case: str, folder: Path, private: dict[str, str]) -> Path:
    expected = EXPECTED[case]
    if not expected.build:
        return GALLERY / case / "submission"
    building = folder / "building"
    building.mkdir()
    built: Path = BUILDERS[expected.build](GALLERY / case, building, _forbidden(expected, private))
    return built


def _grade(submission: Path, sandbox: str, folder: Path, expected: Expectation, secret: str) -> Shown:
    report, junit = folder / "report.json", folder / "junit.xml"
    feedback = folder / f"feedback.{FEEDBACK_ENDINGS[sandbox]}"
    options = ["--assignment", expected.assignment, *OPTIONS[sandbox], "--device", "cpu"]
    files = ["--json", str(report), "--junit", str(junit), "--feedback", str(feedback)]
    done = subprocess.run(
        [HARNESS, "grade", str(submission), *options, *files],
        cwd=COURSE,
        env={**os.environ, SECRET_NAME: secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=expected.seconds,
        check=False,
    )
    terminal = (done.stdout + done.stderr).decode()
    assert report.exists(), f"exit status {done.returncode}, and no report:\n{terminal}"
    if feedback.suffix == ".json":
        StudentDocument.model_validate_json(feedback.read_text())
    ET.fromstring(junit.read_text())  # noqa: S314  our own file; it must be well formed
    return Shown(done.returncode, terminal, report.read_text(), feedback.read_text(), junit.read_text())


@contextmanager
def _neighbours(sandbox: str) -> Iterator[None]:
    """This process and a second sandbox of the same kind listen at abstract sockets."""
    code = LISTEN.format(address=NEIGHBOURS["SANDBOX"])
    spec = SandboxSpec(
        command=("-I", "-S", "-c", code),
        run_id=f"neighbour{secrets.token_hex(4)}",
        memory_bytes=64 << 20,
        cpus=1.0,
        processes=8,
        scratch_bytes=1 << 20,
        shared_memory_bytes=1 << 20,
    )
    with (
        _backend(sandbox) as backend,
        backend.open(spec) as neighbour,
        socket.socket(socket.AF_UNIX) as machine,
    ):
        assert neighbour.receive(len("open"), time.monotonic() + SECONDS_TO_OPEN) == b"open"
        machine.bind(NEIGHBOURS["MACHINE"])
        machine.listen()
        yield


@contextmanager
def _backend(sandbox: str) -> Iterator[Backend]:
    if sandbox == "bubblewrap":
        with closing(BubblewrapBackend()) as backend:
            yield backend
        return
    client = connect()
    try:
        runtime = "runsc" if sandbox == GVISOR else None
        image = ensure_image(client, build=False, progress=print)
        with closing(DockerBackend(client, image, runtime)) as backend:
            yield backend
    finally:
        client.close()


def _private_texts(folder: Path, secret: str) -> dict[str, str]:
    """What may be in no document, by what it is: the host's secret and paths, and the reference's texts."""
    reference = COURSE / "reference" / "toy"
    answers = _rows(reference / "answers.csv")
    return {
        "a secret of the host's environment": secret,
        "the checkout's path": str(ROOT),
        "the submission's path": str(folder),
        "the virtual environment's path": sys.prefix,
        "the split key": tomllib.loads((reference / "reference.toml").read_text())["split_key"],
        "an answer": answers[0][1],
        "a test row's id": answers[0][0],
    }


def _hidden_rows() -> list[str]:
    """Every answer and every test row's id; their digits occur nowhere else."""
    return [text for row in _rows(COURSE / "reference" / "toy" / "answers.csv") for text in row]


def _forbidden(expected: Expectation, private: dict[str, str]) -> dict[str, bytes]:
    """The same, and rows and labels as numbers in memory: what a sandbox of the case's phase may not hold."""
    answers = np.array([float(row[1]) for row in _rows(COURSE / "reference" / "toy" / "answers.csv")])
    wanted = {name: text.encode() for name, text in private.items()}
    wanted["the split key's bytes"] = bytes.fromhex(private["the split key"])
    wanted["an answer of 64 bits"] = answers[:1].tobytes()
    wanted["answers of 32 bits"] = answers[:4].astype(np.float32).tobytes()
    data = COURSE / "assignments" / "toy" / "data"
    if expected.phase is Phase.TRAIN:
        row = _rows(data / "test.csv")[0][1:]
        name = "test row"
    else:
        rows = _rows(data / "train.csv")
        valid = validation_rows(len(rows), valid_ratio=0.2, seed=7)  # as in the probe's config
        row = next(row for number, row in enumerate(rows) if number not in valid)[1:]
        name = "training row"
    wanted[f"a {name}'s text"] = ",".join(row).encode()
    wanted[f"a {name}'s inputs"] = np.array(row[:4], dtype=np.float32).tobytes()
    return wanted


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))[1:]


def _assert_nothing_leaks(shown: Shown, forbidden: list[str]) -> None:
    documents = shown.documents()
    leaks = [(name, text) for name, content in documents.items() for text in forbidden if text in content]
    assert leaks == []
    assert "private" not in shown.feedback, shown.feedback


def _assert_nothing_is_left(run_id: str, sandbox: str, argument: str) -> None:
    groups = [
        folder for folder, _, _ in os.walk("/sys/fs/cgroup") if run_id in folder and Path(folder).exists()
    ]
    assert groups == [], "control groups are left"
    if sandbox != "bubblewrap":
        client = docker.from_env()
        try:
            left = client.api.containers(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})
        finally:
            client.close()
        assert left == [], "containers are left"
    deadline = time.monotonic() + SECONDS_TO_VANISH  # another sandbox's case may still run
    while argument and (found := _processes_with(argument)):
        assert time.monotonic() < deadline, f"processes are left: {found}"
        time.sleep(0.2)


def _processes_with(argument: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes().split(b"\0")
        except OSError:  # it ended
            continue
        if argument.encode() in arguments:
            found.append(file.parent.name)
    return found


@pytest.mark.parametrize("phase", [Phase.TRAIN, Phase.PREDICT])
def test_probe_finds_what_is_there(phase: Phase, tmp_path: Path) -> None:
    """Outside of any sandbox, the gallery's probe finds each thing that it finds in none."""
    secret = secrets.token_hex(16)
    expected = Expectation(outcome=Outcome.RUNTIME_ERROR, phase=phase)
    forbidden = _forbidden(expected, _private_texts(tmp_path, secret))
    carried = tmp_path / "carried.json"
    carried.write_text(json.dumps({name: content.hex() for name, content in raised(forbidden).items()}))
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    for name in ("the split key's bytes", "an answer of 64 bits", "answers of 32 bits"):
        (numbers / name.replace(" ", "_")).write_bytes(forbidden[name])
    for name in forbidden.keys() & {"a test row's inputs", "a training row's inputs"}:
        (numbers / name.replace(" ", "_")).write_bytes(forbidden[name])
    roots = [numbers, COURSE / "reference" / "toy", COURSE / "assignments" / "toy" / "data"]
    done = subprocess.run(
        [sys.executable, GALLERY / "probe.py", carried, *roots],
        env={**os.environ, SECRET_NAME: secret},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in forbidden if f"FOUND {name} in" not in done.stdout] == [], done.stdout


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_every_outcome_is_expected_of_some_case(sandbox: str) -> None:
    """The gallery has a submission for each outcome that a report can have, in each sandbox."""
    assert {each.outcome for each in EXPECTED.values() if sandbox in each.sandboxes} == set(Outcome)


def test_case_that_a_sandbox_cannot_run_is_shown_as_skipped() -> None:
    """It is not left out in silence and never passes: its run is there, skipped, with the reason."""
    expected = Expectation(outcome=Outcome.OK, sandboxes=("docker",), reason="it needs an engine")
    marks = {
        sandbox: mark
        for sandbox, run in zip(OPTIONS, _runs("some-case", expected), strict=True)
        for mark in run.marks
    }
    assert (marks["docker"].name, marks[GVISOR].name) == ("docker", GVISOR)
    assert marks["bubblewrap"].name == "skip"
    assert marks["bubblewrap"].kwargs["reason"] == "not run in bubblewrap: it needs an engine"


def test_every_case_is_whole() -> None:
    """A folder of the gallery is a case with something to grade, and every builder builds for one."""
    folders = {folder.name for folder in GALLERY.iterdir() if folder.is_dir() and folder != COURSE}
    assert folders - {"__pycache__"} == set(EXPECTED)
    built = {case for case, expected in EXPECTED.items() if expected.build}
    assert {case for case in EXPECTED if (GALLERY / case / "submission").is_dir()} | built == set(EXPECTED)
    assert {expected.build for expected in EXPECTED.values()} - {""} == BUILDERS.keys()
    limited = {case: each for case, each in EXPECTED.items() if _limited(each)}
    assert [case for case, each in limited.items() if not each.in_sandbox(GVISOR).reason] == []


def _limited(expected: Expectation) -> bool:
    return expected.sandboxes != SANDBOXES or bool(expected.machine or expected.gvisor)
