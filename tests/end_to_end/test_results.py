"""What was graded is listed, shown, scored and run again by the commands, as their users start them."""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.host.assignment import load_assignment
from harness.host.identity import run_digest
from harness.host.report.text import is_hidden
from harness.host.store.listing import list_runs
from harness.host.store.place import Place, place_of
from harness.host.store.store import Store
from harness.protocol import Outcome
from tests.end_to_end.conftest import HARNESS
from tests.stored import Made, later

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import URL

SECONDS = 120.0
BUBBLEWRAP = ("--sandbox", "bubblewrap")
EVIL = "s\x1b]0;owned\x07\u202e=1+1|<b>"
PRINTED = "\x1b[2J\x1b[31mred\x07\r::error::owned\n##vso[task]\n\u202eback\n" + "line\n" * 2000


def harness(
    course: Path, *words: str | Path, env: Mapping[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """A command to its end, whose exit status is the one that is expected."""
    done = subprocess.run(
        [HARNESS, *words],
        cwd=course,
        env={**os.environ, "COLUMNS": "100", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def store_of(course: Path) -> Store:
    """The course's store."""
    return Store(place_of(None, None, course))


def ids(course: Path, *words: str) -> list[str]:
    """The ids that `harness runs` lists."""
    listed = harness(course, "runs", *words).stdout.splitlines()
    return [line.split()[0] for line in listed[1:]]


def evil(submission: Path) -> Path:
    """A submission whose name and output are meant to act on whoever looks at them."""
    folder = submission.parent / "class" / EVIL
    shutil.copytree(submission, folder)
    model = folder / "model.py"
    model.write_text(f"print({PRINTED!r})\n{model.read_text()}\nraise RuntimeError({PRINTED!r})\n")
    return folder


def assert_nothing_acts(text: str) -> None:
    """Nothing in it does anything to a terminal, or is a command to a CI system."""
    assert {character for character in text if is_hidden(character)} <= {"\n"}
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert "##vso[" not in text


@pytest.fixture
def filled(course: Path) -> Path:
    """The course, with a store of made-up results."""
    assignment = load_assignment(course / "assignments" / "sum")
    store, ran_by = store_of(course), run_digest(assignment)
    Made("s001", "sum", model="A", public=0.3, shown=3.5).into(store, ran_by=ran_by)
    Made("s001", "sum", later(1), model="B", public=0.4, shown=3.0).into(store, ran_by=ran_by)
    Made("s002", "sum", outcome=Outcome.TIME_LIMIT, public=None, shown=1.0).into(store, ran_by=ran_by)
    Made("s003", "sum", private=0.123454321).into(store, ran_by=ran_by)
    return course


@pytest.mark.bubblewrap
def test_what_is_shown_of_a_run_is_what_grading_it_wrote(
    course: Path, submission: Path, tmp_path: Path
) -> None:
    """The same report for staff, the same JUnit file, and the same feedback in each of its forms."""
    reports = {"json": "report.json", "junit": "junit.xml", "feedback": "feedback.json"}
    for folder in ("graded", "shown"):
        (tmp_path / folder).mkdir()

    def options(folder: str, **files: str) -> list[str]:
        return [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / folder / file))]

    harness(course, "grade", submission, *BUBBLEWRAP, "--keep", *options("graded", **reports))
    [run] = ids(course)
    shown = harness(course, "show", run, *options("shown", **reports))
    for file in reports.values():
        assert (tmp_path / "shown" / file).read_text() == (tmp_path / "graded" / file).read_text()
    assert f"run {run}" in shown.stdout
    assert "points" in shown.stdout
    for ending in ("md", "html"):
        harness(course, "show", run[:6], "--feedback", tmp_path / f"feedback.{ending}")
        feedback = (tmp_path / f"feedback.{ending}").read_text()
        assert run in feedback
        assert "private" not in feedback
    report = json.loads((tmp_path / "shown" / "report.json").read_text())
    assert report["run_id"] == run
    assert report["metric"]["private"] is not None


@pytest.mark.bubblewrap
def test_nothing_that_a_student_wrote_acts_on_a_terminal(
    course: Path, submission: Path, tmp_path: Path
) -> None:
    """Names, messages and logs, in every command that shows them, also on a terminal of another encoding."""
    folder = evil(submission).parent
    harness(course, "batch", folder, *BUBBLEWRAP)
    store_of(course).record_fault("sum", EVIL, EVIL, PRINTED, PRINTED)
    [run] = ids(course)
    latin = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    for words in (
        ("runs",),
        ("runs", "--faults"),
        ("runs", "--student", EVIL),
        ("show", run),
        ("log", run),
        ("choose", run),
        ("leaderboard", "sum"),
        ("rescore", "sum"),
    ):
        for env in ({}, latin):
            done = harness(course, *words, env=env)
            assert done.stdout
            assert_nothing_acts(done.stdout + done.stderr)
    log = harness(course, "log", run).stdout
    assert log.startswith(r"\x1b[2J\x1b[31mred\x07\x0d::error::owned")
    assert log.count("line\n") == 2000
    harness(course, "pages", "sum", "--out", tmp_path / "pages")
    for file in (tmp_path / "pages").iterdir():
        assert "\x1b" not in file.read_text()
        assert "\u202e" not in file.read_text()


def test_runs_are_listed_by_what_is_asked_for(filled: Path) -> None:
    """The newest first; and what could not be graded, with why."""
    lines = harness(filled, "runs").stdout.splitlines()
    assert lines[0].split() == ["run", "handed", "in", "student", "outcome", "points", "public", "runtime"]
    assert [line.split()[3] for line in lines[1:]] == ["s003", "s002", "s001", "s001"]
    assert "time_limit" in lines[2]
    assert len(ids(filled, "sum", "--student", "s001")) == 2
    assert len(ids(filled, "--outcome", "time_limit")) == 1
    assert len(ids(filled, "--most", "3")) == 3
    assert harness(filled, "runs", "other").stdout == "no runs\n"
    assert harness(filled, "runs", "--faults").stdout == "no faults\n"
    store_of(filled).record_fault("sum", "s004", "s004.zip", "the engine is gone", "start it")
    told = harness(filled, "runs", "--faults", "--student", "s004").stdout
    assert "s004.zip" in told
    assert "the engine is gone" in told
    assert "start it" in told
    assert "there are ok," in harness(filled, "runs", "--outcome", "fine", status=2).stderr
    assert "leave out" in harness(filled, "runs", "--faults", "--outcome", "ok", status=2).stderr


def test_the_store_is_found_from_anywhere_in_the_course_or_where_it_is_named(
    filled: Path, tmp_path: Path
) -> None:
    """By the option before the environment; a reader that finds none says so and makes none."""
    assert len(ids(filled / "assignments" / "sum" / "data")) == 4
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    told = harness(elsewhere, "runs", status=2).stderr
    assert "there is no store of results in" in told
    assert list(elsewhere.iterdir()) == []
    database = filled / "results" / "runs.sqlite"
    other = tmp_path / "other.sqlite"
    made = Store(Place(f"sqlite:///{other}", tmp_path / "artifacts"))
    Made("s009").into(made)
    by_name = {"HARNESS_STORE": str(database)}
    assert harness(elsewhere, "runs", env=by_name).stdout.count("s00") == 4
    assert harness(elsewhere, "runs", "--store", str(other), env=by_name).stdout.count("s009") == 1
    url = {"HARNESS_STORE": f"sqlite:///{other}"}
    assert harness(elsewhere, "runs", env=url).stdout.count("s009") == 1
    server = {"HARNESS_STORE": "postgresql://me:hunter2@127.0.0.1:1/db"}
    refused = harness(elsewhere, "runs", env=server, status=3)
    assert "127.0.0.1" in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout


def test_log_is_whole_and_a_lost_one_is_told(filled: Path) -> None:
    """Not only the end that a report shows."""
    store = store_of(filled)
    run = Made("s010", "sum", log="first line\n" + "more\n" * 3000).into(store)
    assert harness(filled, "log", run[:8]).stdout == "first line\n" + "more\n" * 3000 + "\n"
    digest = store.read(run, private=False).row["log"]
    (store.artifacts.folder / digest[:2] / digest[2:]).unlink()
    assert "cannot be read" in harness(filled, "log", run, status=3).stderr
    assert "there is no run ffff" in harness(filled, "log", "ffff", status=2).stderr


def test_a_run_that_is_chosen_counts(filled: Path) -> None:
    """In the grades that are made by choice; the best does otherwise."""
    best, worse = sorted(ids(filled, "--student", "s001"), key=lambda run: run != ids(filled)[-1])

    def grade_of(select: str) -> str:
        rows = csv.DictReader(harness(filled, "grades", "sum", "--select", select).stdout.splitlines())
        [row] = [row for row in rows if row["student"] == "s001"]
        return row["run"]

    assert grade_of("chosen") == grade_of("best") == best
    assert (
        f"chosen: run {worse}   sum   s001   handed in 2030-03-02" in harness(filled, "choose", worse).stdout
    )
    assert grade_of("chosen") == grade_of("last") == worse
    assert grade_of("best") == best


def test_pages_are_written_for_all_whose_run_counts(filled: Path, tmp_path: Path) -> None:
    """One a run, under the run's name, and a table that says whose each is; nothing private is in them."""
    done = harness(filled, "pages", "sum", "--out", tmp_path / "new" / "pages")
    assert done.stdout == f"4 pages in {tmp_path}/new/pages\n"
    rows = list(csv.DictReader((tmp_path / "new" / "pages" / "index.csv").read_text().splitlines()))
    assert [row["student"] for row in rows] == ["s001", "s001", "s002", "s003"]
    for row in rows:
        page = (tmp_path / "new" / "pages" / row["page"]).read_text()
        assert row["page"].removesuffix(".html") in page
        assert "0.1234" not in page
        assert "hidden half" not in page


def test_scores_are_written_when_somebody_agrees(filled: Path) -> None:
    """What changes is shown first; without a terminal it takes --yes, and on one an answer."""
    before = store_of(filled)
    points = {run: before.read(run, private=True).report.points for run in ids(filled)}

    def now() -> dict[str, float]:
        store = store_of(filled)
        return {run: store.read(run, private=True).report.points for run in points}

    shown = harness(filled, "rescore", "sum")
    assert "scored again: 4" in shown.stdout
    assert all(run in shown.stdout for run in points)
    assert "nothing was written; --yes writes" in shown.stderr
    assert now() == points
    assert "Store 4 new scores?" in on_terminal(filled, "n\n", "rescore", "sum")
    assert now() == points
    assert "4 new scores are stored" in on_terminal(filled, "y\n", "rescore", "sum")
    assert now() != points
    again = harness(filled, "rescore", "sum", "--yes")
    assert "scored again: 0" in again.stdout
    assert "4 runs have their score by these answers, tiers and checks already" in again.stdout
    (filled / "assignments" / "sum" / "test_own.py").write_text("def test_it(): 1 / 0\n")
    assert "is broken" in harness(filled, "rescore", "sum", "--yes", status=2).stderr


def on_terminal(course: Path, typed: str, *words: str) -> str:
    """What a command shows on a terminal on which somebody types."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [HARNESS, *words],
        cwd=course,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown, _ = command.communicate(timeout=SECONDS)
    os.close(ours)
    return shown


@pytest.mark.bubblewrap
@pytest.mark.postgres
def test_a_server_can_be_the_store_of_every_command(
    course: Path, submission: Path, tmp_path: Path, postgres_url: URL
) -> None:
    """From the class's batch to its grades; what runs are made of lies in the course's folder."""
    server = {"HARNESS_STORE": postgres_url.render_as_string(hide_password=False)}
    folder = submission.parent / "class"
    for student in ("s001", "s002"):
        shutil.copytree(submission, folder / student)

    for words in (
        ("batch", folder, *BUBBLEWRAP),
        ("rescore", "sum", "--yes"),
        ("regrade", "sum", "--all", *BUBBLEWRAP),
        ("leaderboard", "sum"),
        ("grades", "sum"),
        ("pages", "sum", "--out", tmp_path / "pages"),
    ):
        assert harness(course, *words, env=server).stdout

    listed = harness(course, "runs", "sum", env=server).stdout.splitlines()[1:]
    assert sorted(line.split()[3] for line in listed) == ["s001", "s001", "s002", "s002"]
    assert "graded before  2" in harness(course, "batch", folder, *BUBBLEWRAP, env=server).stdout
    for name in ("choose", "show", "log"):
        assert harness(course, name, listed[0].split()[0], env=server).stdout
    assert sorted(path.name for path in (course / "results").iterdir()) == ["artifacts"]


@pytest.mark.bubblewrap
def test_runs_of_other_data_are_made_again_once(course: Path, submission: Path) -> None:
    """The new run takes the old one's place and time, and is no attempt; then there is nothing to do."""
    toml = course / "assignments" / "sum" / "assignment.toml"
    toml.write_text(toml.read_text().replace("[data]", "attempts_per_day = 1\n[data]", 1))
    folder = submission.parent / "class"
    shutil.copytree(submission, folder / "s001")
    (folder / "s002.zip").write_bytes(b"no archive")
    harness(course, "batch", folder, *BUBBLEWRAP)
    rows = {row["student"]: row["id"] for row in list_runs(store_of(course), "sum", None, None, 9)}
    assert "all runs are of this harness" in harness(course, "regrade", "sum", *BUBBLEWRAP).stdout
    train = course / "assignments" / "sum" / "data" / "train.csv"
    train.write_text(train.read_text() + "999,0.5,0.5,1.5\n")

    harness(course, "regrade", "sum", *BUBBLEWRAP)

    store = store_of(course)
    [second] = set(ids(course)) - set(rows.values())
    new, old = (store.read(run, private=True) for run in (second, rows["s001"]))
    assert (new.row["replaces"], new.student, new.submitted) == (old.row["number"], "s001", old.submitted)
    assert new.report.run.outcome == old.report.run.outcome == "ok"
    assert new.row["assignment_sha256"] != old.row["assignment_sha256"]
    grades = list(csv.DictReader(harness(course, "grades", "sum").stdout.splitlines()))
    assert {row["student"]: row["run"] for row in grades} == rows | {"s001": second}
    assert "all runs are of this harness" in harness(course, "regrade", "sum", *BUBBLEWRAP).stdout
    assert "graded before  2" in harness(course, "batch", folder, *BUBBLEWRAP).stdout
    told = harness(course, "regrade", "sum", *BUBBLEWRAP, "--run", rows["s002"]).stderr
    assert "left out: 1, which could not be read" in told
    assert len(ids(course)) == 3
