"""``harness poll``: what is pushed is graded once, as of when it was seen, whatever a repository holds."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from harness.host.store.hand_ins import moment
from harness.host.store.listing import list_faults, list_runs
from harness.host.store.place import place_of
from harness.host.store.store import Store
from tests.end_to_end.conftest import CONFIG, HARNESS, MODEL
from tests.repositories import FILE, LINK, SUBMODULE, TREE, Repository

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import RowMapping

pytestmark = pytest.mark.bubblewrap
SECONDS = 280.0
GOOD = {"model.py": MODEL, "config.toml": CONFIG}


@dataclass(frozen=True)
class Course:
    """A course whose students push.

    Attributes:
        folder: of the course.
        home: of its store.
        roster: names the repositories.
    """

    folder: Path
    home: Path
    roster: Path

    def words(self, *options: str) -> list[str]:
        """The command."""
        store = ["--store", str(self.home / "runs.sqlite"), "--sandbox", "bubblewrap"]
        return [str(HARNESS), "poll", str(self.roster), *store, *options]

    def poll(self, *options: str) -> subprocess.CompletedProcess[str]:
        """One look."""
        return subprocess.run(
            self.words("--once", *options),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def store(self) -> Store:
        """What was kept."""
        return Store(place_of(str(self.home / "runs.sqlite"), None, self.home))

    def runs(self) -> list[RowMapping]:
        """The runs, the newest first."""
        return list_runs(self.store(), "sum", None, None, 99)


@pytest.fixture
def pushing(course: Path, tmp_path: Path) -> Course:
    """The course with a roster that is still empty."""
    roster = course / "class.csv"
    roster.write_text("student,submission\n")
    return Course(course, tmp_path / "results", roster)


def enrol(pushing: Course, student: str, address: str = "") -> Repository:
    """Give a student a repository, in the roster's folder."""
    repository = Repository(pushing.folder / "repositories" / f"{student}.git")
    with pushing.roster.open("a") as file:
        file.write(f"{student},{address or f'repositories/{student}.git'}\n")
    return repository


def seeded(seed: int) -> dict[str, str]:
    """The honest submission with another seed."""
    return {**GOOD, "config.toml": CONFIG.replace("seed = 1", f"seed = {seed}")}


def test_each_push_is_graded_once(pushing: Course, tmp_path: Path) -> None:
    """A push is graded, nothing new is not, the next push is; its time is that of the look, not its claim."""
    repository = enrol(pushing, "s001", f"file://{pushing.folder}/repositories/s001.git#main")
    feedback = tmp_path / "feedback"
    began = datetime.now(UTC)
    first = repository.push(GOOD)

    done = pushing.poll("--feedback", str(feedback))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 repositories: 1 with something new, 0 graded before, 0 that could not be read" in done.stdout
    (run,) = pushing.runs()
    assert (run["student"], run["outcome"], run["submission"]) == ("s001", "ok", first[:12])
    assert began <= moment(run["submitted"]) <= datetime.now(UTC)

    done = pushing.poll("--feedback", str(feedback))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 with something new, 1 graded before" in done.stdout
    assert f"feedback for 0 in {feedback}" in done.stdout
    assert len(pushing.runs()) == 1

    second = repository.push(seeded(2))
    assert pushing.poll("--feedback", str(feedback)).returncode == 0
    newest, oldest = pushing.runs()
    assert (newest["submission"], oldest["submission"]) == (second[:12], first[:12])
    assert newest["submitted"] > oldest["submitted"]
    shown = "".join((feedback / "s001" / name).read_text() for name in ("feedback.md", "feedback.html"))
    assert newest["id"] in shown
    assert oldest["id"] not in shown
    assert "private" not in shown


def test_going_back_is_handing_in_once_more(pushing: Course) -> None:
    """A force-push to an earlier commit counts from then on; a commit that changes no file of it does not."""
    repository = enrol(pushing, "s001")
    first = repository.push(GOOD)
    pushing.poll()
    second = repository.push(seeded(2))
    pushing.poll()
    repository.git("update-ref", "refs/heads/main", first)
    pushing.poll()

    assert [run["submission"] for run in pushing.runs()] == [first[:12], second[:12], first[:12]]
    repository.push({**GOOD, "README.md": "the same code"})
    done = pushing.poll()
    assert "0 with something new, 1 graded before" in done.stdout
    assert len(pushing.runs()) == 3


def test_a_broken_repository_is_its_students_affair(pushing: Course) -> None:
    """It is told, kept once, tried again, and costs nobody else anything; what was graded stays."""
    healthy, broken = enrol(pushing, "s001"), enrol(pushing, "s002")
    enrol(pushing, "s003")
    enrol(pushing, "s004", "repositories/nowhere.git")
    deleted = enrol(pushing, "s005")
    healthy.push(GOOD)
    deleted.push(seeded(5))
    assert pushing.poll().returncode == 3
    assert {run["student"] for run in pushing.runs()} == {"s001", "s005"}
    commit = broken.push(GOOD)
    lost = broken.git("rev-parse", f"{commit}:model.py")
    file = broken.path / "objects" / lost[:2] / lost[2:]
    kept = file.read_bytes()
    file.unlink()
    deleted.git("update-ref", "-d", "refs/heads/main")
    healthy.push(seeded(3))

    for _ in range(2):
        done = pushing.poll()
        assert done.returncode == 3
        for student, words in {
            "s002": "cannot be read",
            "s003": "there is nothing in",
            "s004": "does not appear to be a git repository",
            "s005": "there is nothing in",
        }.items():
            assert any(words in line for line in done.stdout.splitlines() if line.startswith(student)), (
                student
            )
    faults = list_faults(pushing.store(), "sum", 99)
    assert sorted(row["student"] for row in faults) == ["s002", "s002", "s003", "s004", "s005"]
    file.write_bytes(kept)
    pushing.poll()
    graded = {run["student"]: run["outcome"] for run in pushing.runs()}
    assert graded == {"s001": "ok", "s002": "ok", "s005": "ok"}
    assert len(pushing.runs()) == 4


def test_hostile_repositories_are_graded_or_refused_like_any_submission(
    pushing: Course, tmp_path: Path
) -> None:
    """Hooks, filters, submodules, links, odd paths and huge files do nothing, and hold up nobody."""
    marker = tmp_path / "pwned"
    attributes = {".gitattributes": "* filter=evil\n", "hooks/post-checkout": f"#!/bin/sh\ntouch {marker}\n"}
    enrol(pushing, "hooks").push({**GOOD, **attributes})

    modules = enrol(pushing, "modules")
    lines = f'[submodule "a"]\n\tpath = a\n\turl = ext::sh -c touch% {marker}\n'
    entries = [(FILE, name.encode(), modules.blob(text.encode())) for name, text in seeded(2).items()]
    entries += [(FILE, b".gitmodules", modules.blob(lines.encode())), (SUBMODULE, b"a", "1" * 40)]
    modules.point(modules.tree(*sorted(entries, key=lambda each: each[1])))

    links = enrol(pushing, "links")
    passwd = links.blob(b"/etc/passwd")
    links.point(links.tree((FILE, b"config.toml", links.blob(CONFIG.encode())), (LINK, b"model.py", passwd)))

    paths = enrol(pushing, "paths")
    inner = paths.tree((FILE, b"post-checkout", paths.blob(b"#!/bin/sh\n")))
    paths.point(paths.tree((TREE, b".git", paths.tree((TREE, b"hooks", inner)))))

    backslashes = enrol(pushing, "backslashes")
    entries = [(FILE, name.encode(), backslashes.blob(text.encode())) for name, text in GOOD.items()]
    entries += [(FILE, b"x\\..\\..\\x.py", backslashes.blob(b""))]
    backslashes.point(backslashes.tree(*sorted(entries, key=lambda each: each[1])))

    enrol(pushing, "huge").push({**seeded(3), "model.py": bytes(80 << 20)})
    enrol(pushing, "=cmd()<b>::error::x").push(seeded(4))

    done = pushing.poll()

    assert done.returncode == 3, done.stdout + done.stderr
    outcomes = {run["student"]: run["outcome"] for run in pushing.runs()}
    assert outcomes == {
        "hooks": "ok",
        "modules": "ok",
        "links": "invalid_submission",
        "backslashes": "invalid_submission",
        "huge": "invalid_submission",
        "=cmd()<b>::error::x": "ok",
    }
    assert [row["student"] for row in list_faults(pushing.store(), "sum", 9)] == ["paths"]
    assert not marker.exists()
    assert list((pushing.home / "poll" / "sum" / "unfinished").iterdir()) == []


def test_wrong_addresses_are_told_before_anything_is_asked(pushing: Course, tmp_path: Path) -> None:
    """Options, commands and other protocols in a roster are named, all of them, and nothing runs."""
    marker = tmp_path / "pwned"
    enrol(pushing, "good").push(GOOD)
    for number, address in enumerate(
        (f"--upload-pack=touch {marker}", f"ext::sh -c touch% {marker}", "https://u:p@h/x", "x.git#--exec=y")
    ):
        with pushing.roster.open("a") as file:
            file.write(f"s00{number},{address}\n")
    done = pushing.poll()

    assert done.returncode == 2
    assert [f"line {line}" in done.stderr for line in (2, 3, 4, 5, 6)] == [False, True, True, True, True]
    assert not marker.exists()
    assert not (pushing.home / "runs.sqlite").exists() or pushing.runs() == []


def test_it_looks_again_and_again_until_it_is_ended(pushing: Course) -> None:
    """What is pushed while it sleeps is graded at the next look, and only one poll works at a time."""
    repository = enrol(pushing, "s001")
    repository.push(GOOD)
    command = subprocess.Popen(
        pushing.words("--every", "1"), cwd=pushing.folder, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(pushing, 1)
        other = pushing.poll()
        assert other.returncode == 2
        assert "another poll works in" in other.stderr
        repository.push(seeded(2))
        wait_for(pushing, 2)
        pushing.roster.write_text("student,submission\nbroken\n,,\n")
        time.sleep(1.5)
        assert command.poll() is None
        command.send_signal(signal.SIGINT)
        output, _ = command.communicate(timeout=SECONDS)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0, output
    assert "the next look is at" in output


def wait_for(pushing: Course, count: int) -> None:
    """Wait until so many runs are kept."""
    deadline = time.monotonic() + SECONDS
    while not (pushing.home / "runs.sqlite").exists() or len(pushing.runs()) < count:
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def test_what_was_seen_before_a_crash_keeps_its_time(pushing: Course) -> None:
    """A line that was torn is left out, and whole ones say since when a commit is the newest."""
    repository = enrol(pushing, "s001")
    repository.push(GOOD)
    pushing.poll("--reference", str(pushing.folder))  # which holds no answers: nothing can be graded
    seen = pushing.home / "poll" / "sum" / "seen.jsonl"
    (line,) = seen.read_text().splitlines()
    early = datetime.fromisoformat(json.loads(line)["seen"]) - timedelta(hours=1)
    seen.write_text(json.dumps({**json.loads(line), "seen": early.isoformat()}) + '\n{"key": "to')

    assert pushing.poll().returncode == 0
    (run,) = pushing.runs()
    assert moment(run["submitted"]) == early
    repository.push(seeded(2))
    assert pushing.poll().returncode == 0
    assert len(seen.read_text().splitlines()) == 3
    assert json.loads(seen.read_text().splitlines()[2])["student"] == "s001"
