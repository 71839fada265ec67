"""Judging many runs in one session gives what grading each of them gives."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from harness.host.assignment import load_assignment
from harness.host.backends import Choice
from harness.host.checking import Checkable, check_runs
from harness.host.cores import Cores
from harness.host.errors import InvalidSubmissionError, MachineError, UsageError
from harness.host.machine import Machine
from harness.host.session import Means, grade_submission
from harness.host.submission import load_submission
from tests.fake_backend import FakeBackend
from tests.toy_guests import COURSE, GALLERY, Cast, fail, heights, predict_well, predicted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.host.records import Check, Report, Run
    from harness.protocol import Message
    from tests.scripted_guest import Wire
    from tests.toy_guests import Play

    Ready = Callable[..., Path]

GOOD = GALLERY / "honest-good" / "submission"
MEANS = Means("bubblewrap", "cpu", assignment="toy")
FIXTURE = "import pytest\n@pytest.fixture(scope='session')\n"
NOISY = "import sys\nprint('LOUD')\ndef test_it():\n    print('LOUD')\n    print('LOUD', file=sys.stderr)\n"
OWN_CHECKS = '''
    import logging
    import time
    import unittest
    import warnings

    import pytest


    @pytest.fixture(scope="session")
    def seen(run):
        """Holds a run that must be the one that is judged."""
        yield run.run_id


    @pytest.fixture(scope="module")
    def shout(seen):
        return seen.upper()


    @pytest.fixture(scope="class", params=["x", "y"])
    def letter(request):
        return request.param


    @pytest.fixture(autouse=True)
    def quiet(monkeypatch, run):
        monkeypatch.setenv("JUDGED", run.run_id)


    @pytest.fixture
    def doubled(request):
        return 2 * request.param


    @pytest.mark.points(0.5)
    def test_fixtures_are_of_this_run(run, seen, shout, score, assignment):
        assert seen == run.run_id and shout == run.run_id.upper()
        assert score is run.score and assignment.id == "toy"


    @pytest.mark.points(0.25, private=True)
    @pytest.mark.parametrize("epoch", [1, 2, 3])
    def test_epoch(run, epoch):
        assert epoch <= len(run.epochs), f"there is no epoch {epoch}"


    @pytest.mark.parametrize("doubled", [1, 2], indirect=True)
    def test_indirect(doubled):
        assert doubled == 2, "not\\ndoubled"


    @pytest.mark.points(2)
    def test_has_predictions(run):
        if run.predictions is None:
            pytest.skip("nothing to look at")
        assert run.predictions.shape == (60, 1)


    def test_says_nothing(run):
        assert run.outcome == "1234567"


    def test_fails_by_name():
        pytest.fail("by name\\nand more")


    @pytest.mark.skipif(True, reason="never")
    def test_is_left_out():
        raise AssertionError


    @pytest.mark.xfail(strict=True)
    def test_is_expected_to_fail(run):
        assert run.predictions is None, "as expected"


    @pytest.mark.timeout(0.1)
    def test_ends_in_time():
        time.sleep(30)


    @pytest.mark.filterwarnings("error")
    def test_warnings_can_be_errors():
        with pytest.raises(UserWarning):
            warnings.warn("loud")


    def test_output_can_be_read(capsys, caplog):
        print("read")
        logging.getLogger("own").warning("logged")
        assert capsys.readouterr().out == "read\\n" and "logged" in caplog.text


    def test_has_a_folder(tmp_path):
        assert not list(tmp_path.iterdir())


    @pytest.mark.usefixtures("letter")
    class TestInAClass:
        def test_method(self, letter, submission):
            assert letter == "x", f"not {letter} in {submission and submission.name}"


    class TestOfUnittest(unittest.TestCase):
        def test_skips(self):
            self.skipTest("in its own way")

        def test_compares(self):
            self.assertEqual(1, 2, "one is not two")
'''


CONFTESTS = {
    "empty": "",
    "has a hook": """
        import pytest


        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(item):
            if item.name == "test_finite":
                item.add_marker(pytest.mark.skip("not today"))
            return (yield)
    """,
    "has a fixture": """
        import dataclasses

        import pytest


        @pytest.fixture(scope="session")
        def score(score):
            return dataclasses.replace(score, public=None, validation=None)
    """,
}


class Stage(Machine):
    """A machine whose sandboxes are played by toy guests."""

    def __init__(self, folder: Path, predict: Play = predict_well) -> None:
        super().__init__(pytest.fail)
        self.cores = Cores(pytest.fail, folder)
        self.backend = FakeBackend(Cast(predict=predict))

    def choose(self, sandbox: str, device: str, runtime: str | None) -> Choice:
        """The toy guests, whatever is asked for."""
        del sandbox, device, runtime
        return Choice(self.backend, "a test asked for it", "cpu")


def missing_by(offset: float) -> Play:
    """A model whose predictions are off."""

    def predict(wire: Wire, job: Message) -> None:
        wire.say(predicted(heights(job) + np.float32(offset)))

    return predict


def predict_nan(wire: Wire, job: Message) -> None:
    """A model that knows no number."""
    wire.say(predicted(heights(job) * np.float32("nan")))


PLAYS: dict[str, tuple[Path, Play]] = {
    "good": (GOOD, predict_well),
    "between the tiers": (GOOD, missing_by(0.75)),
    "bad": (GOOD, missing_by(5.0)),
    "no numbers": (GOOD, predict_nan),
    "broken": (GOOD, fail),
    "unreadable": (GALLERY / "invalid-no_model" / "submission", predict_well),
}


@pytest.fixture
def course(tmp_path: Path) -> Ready:
    """Copies the gallery's course, with checks of its own in the files that are given; returns the folder."""

    def ready(name: str = "course", **files: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(COURSE, folder)
        for stem, text in files.items():
            (folder / "assignments" / "toy" / f"{stem}.py").write_text(textwrap.dedent(text))
        return folder

    return ready


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """Grades a submission as the command does, but for its sandboxes."""

    def graded(folder: Path, submission: Path = GOOD, predict: Play = predict_well) -> Report:
        monkeypatch.chdir(folder)
        with Stage(tmp_path, predict) as machine:
            return grade_submission(submission, MEANS, Console(), machine).report

    return graded


@pytest.fixture
def run_of(course: Ready, grade: Callable[..., Report]) -> Run:
    """The run of a good submission, that was graded without further checks."""
    return grade(course("graded")).run


def judge(folder: Path, *runs: Run, has_reference: bool = True) -> list[tuple[Check, ...]]:
    """What the checks of a course say of runs, in one session."""
    said: list[tuple[Check, ...]] = []
    checkable = (Checkable(None, run) for run in runs)
    assignment = load_assignment(folder / "assignments" / "toy")
    check_runs(assignment, checkable, lambda _, checks: said.append(checks), has_reference=has_reference)
    return said


def submission_of(path: Path) -> Any:
    """What was handed in, if it can be read."""
    try:
        return load_submission(path, max_bytes=1 << 20)
    except InvalidSubmissionError:
        return None


@pytest.mark.parametrize(
    ("conftest", "with_reference"),
    [("empty", True), ("empty", False), ("has a hook", True), ("has a fixture", True)],
)
def test_many_runs_get_the_checks_that_each_alone_gets(
    course: Ready, grade: Callable[..., Report], conftest: str, *, with_reference: bool
) -> None:
    """Names, order, outcomes, points, messages and who may see them, for every kind of check and of run."""
    folder = course(test_own=OWN_CHECKS, conftest=CONFTESTS[conftest])
    if not with_reference:
        shutil.rmtree(folder / "reference")
    reports = [grade(folder, *play) for play in PLAYS.values()]
    runs = [
        Checkable(submission_of(path), report.run)
        for (path, _), report in zip(PLAYS.values(), reports, strict=True)
    ]
    said: list[tuple[Check, ...]] = []
    assignment = load_assignment(folder / "assignments" / "toy")

    check_runs(
        assignment, [*runs, *runs[::-1]], lambda _, checks: said.append(checks), has_reference=with_reference
    )

    expected = [report.checks for report in reports]
    assert said == expected + expected[::-1]
    assert len({tuple(check.outcome for check in checks) for checks in expected}) >= 4
    assert {check.outcome for checks in expected for check in checks} == {"passed", "failed", "skipped"}
    assert ("not today" in {check.message for check in expected[0]}) == (conftest == "has a hook")
    assert ("there is no rmse to compare" in {each.message for each in expected[0]}) == ("fix" in conftest)
    assert len(expected[0]) == (9 if with_reference else 7) + 19


def test_runs_are_asked_for_one_by_one(course: Ready, run_of: Run) -> None:
    """The next run is taken when the last one has been told of, so that they can come as they end."""
    happened: list[str] = []
    runs = [Checkable(None, dataclasses.replace(run_of, run_id=name)) for name in "abc"]

    def come() -> Iterator[Checkable]:
        for each in runs:
            happened.append(f"{each.run.run_id} comes")
            yield each

    def told(each: Checkable, checks: tuple[Check, ...]) -> None:
        assert each in runs
        assert checks
        happened.append(f"{each.run.run_id} is checked")

    check_runs(load_assignment(course() / "assignments" / "toy"), come(), told, has_reference=True)

    assert happened == [f"{name} {what}" for name in "abc" for what in ("comes", "is checked")]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(7)], ids=repr)
@pytest.mark.parametrize("where", ["runs", "on_checked"])
def test_what_the_caller_raises_comes_back(
    course: Ready, run_of: Run, error: BaseException, where: str
) -> None:
    """The very exception, from the iterator as from the callback, and nothing is done after it."""
    told: list[tuple[Check, ...]] = []

    def come() -> Iterator[Checkable]:
        yield Checkable(None, run_of)
        if where == "runs":
            raise error
        yield Checkable(None, run_of)

    def tell(_: Checkable, checks: tuple[Check, ...]) -> None:
        told.append(checks)
        if where == "on_checked":
            raise error

    with pytest.raises(type(error)) as caught:
        check_runs(load_assignment(course() / "assignments" / "toy"), come(), tell, has_reference=True)
    assert caught.value is error
    assert len(told) == 1


def test_interrupt_in_a_check_ends_it(course: Ready, run_of: Run) -> None:
    """Ctrl-C while a check runs is neither its result nor swallowed."""
    folder = course(test_own="def test_it(): raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        judge(folder, run_of)


def test_interrupt_in_a_check_leaves_no_grade(course: Ready, grade: Callable[..., Report]) -> None:
    """Points of the checks that were done by then are no grade."""
    folder = course(test_own="def test_it(): raise KeyboardInterrupt\n")
    with pytest.raises(Exception, match="interrupted; nothing was graded"):
        grade(folder)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("def test_it(run): 1 / 0", "the check it of toy is broken: ZeroDivisionError in test_own.py"),
        ("def test_it(no_such_fixture): pass", "the check it of toy is broken: FixtureLookupError"),
        (
            f"{FIXTURE}def late():\n    yield\n    1 / 0\ndef test_it(late): pass",
            "the check it of toy is broken: ZeroDivisionError in test_own.py",
        ),
        ("import pytest\ndef test_it(): pytest.exit('enough', 0)", "ended after 9 of the 10 checks of toy"),
        ("def test_a(request): request.session.shouldstop = 'x'\ndef test_b(): pass", "after 10 of the 11"),
        ("1 / 0", "cannot be collected"),
        ("import pytest\npytest.fail('x')", "cannot be collected"),
    ],
)
def test_a_broken_check_is_the_assignments_fault(
    course: Ready, grade: Callable[..., Report], run_of: Run, check: str, said: str
) -> None:
    """It gives no points: the same message comes of one run and of many, of which no more is asked for."""
    folder = course(test_own=check)
    with pytest.raises(UsageError) as of_one:
        grade(folder)
    with pytest.raises(UsageError) as of_many:
        judge(folder, run_of, run_of)

    assert said in of_one.value.message
    assert (of_one.value.message, of_one.value.fix) == (of_many.value.message, of_many.value.fix)


def test_what_breaks_around_the_checks_is_no_check(
    course: Ready, grade: Callable[..., Report], run_of: Run
) -> None:
    """A hook that raises gives no points and is nobody's failed check; the message says what it raised."""
    folder = course(conftest="def pytest_runtest_protocol(item):\n    1 / 0\n")
    for judged in (lambda: grade(folder), lambda: judge(folder, run_of)):
        with pytest.raises(MachineError, match=r"(?s)the grading session broke:.*ZeroDivisionError"):
            judged()


def test_checks_that_cannot_be_collected_cost_no_run(course: Ready, tmp_path: Path, monkeypatch: Any) -> None:
    """The assignment is found broken before anything is started or asked for."""
    folder = course(test_own="1 / 0")
    monkeypatch.chdir(folder)
    with Stage(tmp_path) as machine, pytest.raises(UsageError, match="cannot be collected"):
        grade_submission(GOOD, MEANS, Console(), machine)
    assert not machine.backend.asked
    with pytest.raises(UsageError, match="cannot be collected"):
        judge(folder, *(pytest.fail("a run was asked for") for _ in [0] if False))


def test_fixtures_end_with_their_run(course: Ready, run_of: Run) -> None:
    """One of the session's is made and torn down for each run, before the run is told of."""
    folder = course(
        test_own="""
        import pytest


        @pytest.fixture(scope="session")
        def noted(run):
            with open("notes", "a") as notes:
                notes.write(f"{run.run_id} begins ")
            yield
            with open("notes", "a") as notes:
                notes.write(f"{run.run_id} ends ")


        def test_one(noted): pass
        def test_two(noted): pass
        """
    )
    notes = Path("notes")

    def told(each: Checkable, _: tuple[Check, ...]) -> None:
        with notes.open("a") as file:
            file.write(f"{each.run.run_id} told ")

    runs = [Checkable(None, dataclasses.replace(run_of, run_id=name)) for name in "ab"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        check_runs(load_assignment(folder / "assignments" / "toy"), runs, told, has_reference=True)
        assert notes.read_text() == "a begins a ends a told b begins b ends b told "


def test_same_names_in_two_assignments_are_not_mixed_up(
    course: Ready, grade: Callable[..., Report], run_of: Run
) -> None:
    """A process that grades by one assignment after another runs each one's checks, edited ones too."""
    folders = {name: course(name, test_own=f"def test_{name}(): pass") for name in ("first", "second")}
    for _ in range(2):
        for name, folder in folders.items():
            assert grade(folder).checks[-1].name == name
            assert judge(folder, run_of)[0][-1].name == name
    (folders["first"] / "assignments" / "toy" / "test_own.py").write_text("def test_edited_since(): pass")
    assert grade(folders["first"]).checks[-1].name == "edited_since"


def test_nothing_that_a_check_prints_is_shown(
    course: Ready, run_of: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither while it is imported nor while it runs; the caller's own output is."""
    folder = course(test_own=NOISY, conftest="print('LOUD')\n")
    assignment = load_assignment(folder / "assignments" / "toy")
    console = Console(force_terminal=False)
    check_runs(assignment, [Checkable(None, run_of)], lambda *_: console.print("told"), has_reference=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("told\n", "")


def test_python_without_assertions_judges_nothing() -> None:
    """Every check would pass; it is refused before a run is looked at."""
    program = (
        "from pathlib import Path; from harness.host.assignment import load_assignment; "
        "from harness.host.checking import check_runs; "
        f"assignment = load_assignment(Path({str(COURSE / 'assignments' / 'toy')!r})); "
        "check_runs(assignment, [], print, has_reference=True)"
    )
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)
    assert "UsageError: this Python is told to leave out assertions" in done.stderr
