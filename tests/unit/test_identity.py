"""What makes two runs the same work and two scores the same judgement, and what has no part in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host import identity
from harness.host.assignment import load_assignment
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.identity import config_digest, harness_version, run_digest, run_key, score_digest
from harness.host.submission import load_submission
from tests.toy_guests import COURSE, GALLERY

if TYPE_CHECKING:
    from collections.abc import Callable

    Edit = Callable[[Path], object]

ROOT = Path(__file__).parents[2]
NOTHING, SCORE, BOTH = (False, False), (False, True), (True, True)
TOML = "assignments/toy/assignment.toml"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the gallery's course, with checks and a helper beside the assignment."""
    folder = tmp_path / "course"
    for part in ("assignments", "reference"):
        shutil.copytree(COURSE / part / "toy", folder / part / "toy")
    own = folder / "assignments" / "toy"
    (own / "test_own.py").write_text("from bounds import MOST\ndef test_it(run): pass\n")
    (own / "bounds.py").write_text("MOST = 1\n")
    (own / "README.md").write_text("Read this.\n")
    for path in own.iterdir():  # long ago, so that every edit changes the time
        os.utime(path, (10**9, 10**9))
    return folder


def digests(course: Path) -> tuple[str, str]:
    """Of runs and of scores, by what lies in a course's folder."""
    assignment = load_assignment(course / "assignments" / "toy")
    return run_digest(assignment), score_digest(assignment, course / "reference" / "toy")


def toml(old: str, new: str) -> Edit:
    """An edit of ``assignment.toml``."""
    return text(TOML, old, new)


def text(file: str, old: str, new: str) -> Edit:
    """An edit of any file."""

    def edit(course: Path) -> None:
        before = (course / file).read_text()
        assert old in before
        (course / file).write_text(before.replace(old, new, 1))

    return edit


def new(file: str, content: str = "x = 1\n") -> Edit:
    """Another file."""

    def edit(course: Path) -> None:
        (course / file).parent.mkdir(exist_ok=True)
        (course / file).write_text(content)

    return edit


def renamed(old: str, to: str) -> Edit:
    """A file of another name."""
    return lambda course: (course / old).rename(course / to)


def both(one: Edit, other: Edit) -> Edit:
    """Two edits at once."""

    def edit(course: Path) -> None:
        one(course)
        other(course)

    return edit


def move_data(course: Path) -> None:
    """The same rows in a file of another name."""
    own = course / "assignments" / "toy"
    (own / "data" / "train.csv").rename(own / "data" / "rows.csv")
    toml("[data]\n", '[data]\ntrain = "data/rows.csv"\n')(course)


def forget_reference(course: Path) -> None:
    """A student's copy."""
    shutil.rmtree(course / "reference")


DEADLINE = "deadline = 2030-03-01T23:59:00+08:00\n"
HEAD = 'task = "regression"\n'
EDITS: dict[str, tuple[Edit, tuple[bool, bool]]] = {
    "a title": (toml("curved", "bent"), NOTHING),
    "a deadline": (toml(HEAD, HEAD + DEADLINE), NOTHING),
    "what being late takes off": (
        both(toml(HEAD, HEAD + DEADLINE), toml("[ranges]", "[late]\npenalty_per_day = 0.1\n[ranges]")),
        NOTHING,
    ),
    "attempts a day": (toml(HEAD, HEAD + "attempts_per_day = 3\n"), NOTHING),
    "the engine's runtime": (toml(HEAD, HEAD + 'docker_runtime = "runsc"\n'), NOTHING),
    "a comment, and the order of keys": (
        toml("processes = 64\nscratch_mb = 32", "scratch_mb = 32 # MiB\nprocesses = 64"),
        NOTHING,
    ),
    "a key that says the default": (toml("[metric]", "[split]\npublic_share = 0.5\n[metric]"), NOTHING),
    "a text for people": (text("assignments/toy/README.md", "this", "that"), NOTHING),
    "a cache": (new("assignments/toy/__pycache__/test_own.cpython-311.pyc"), NOTHING),
    "a hidden file": (new("assignments/toy/.test_own.py.swp"), NOTHING),
    "solutions": (new("reference/toy/solutions/model.py"), NOTHING),
    "the place of the data": (move_data, NOTHING),
    "a tier's threshold": (toml("0.6", "0.61"), SCORE),
    "a tier's points": (toml("private_points = 1", "private_points = 2"), SCORE),
    "a tier's name": (toml('"simple"', '"easy"'), SCORE),
    "a check's points": (toml("finite = 1", "finite = 2"), SCORE),
    "the metric": (toml('"rmse"', '"mae"'), SCORE),
    "the public share": (toml("[metric]", "[split]\npublic_share = 0.25\n[metric]"), SCORE),
    "an answer": (text("reference/toy/answers.csv", "\n", "\n\n"), SCORE),
    "the key that splits": (text("reference/toy/reference.toml", "5e17", "5e18"), SCORE),
    "answers under another name": (
        both(
            renamed("reference/toy/answers.csv", "reference/toy/new.dat"),
            text("reference/toy/reference.toml", "answers.csv", "new.dat"),
        ),
        SCORE,
    ),
    "no reference": (forget_reference, SCORE),
    "a check": (text("assignments/toy/test_own.py", "pass", "assert run.epochs"), SCORE),
    "one more check": (new("assignments/toy/more_test.py"), SCORE),
    "a check's file": (renamed("assignments/toy/test_own.py", "assignments/toy/test_new.py"), SCORE),
    "what a check imports": (text("assignments/toy/bounds.py", "1", "2"), SCORE),
    "what a check reads": (new("assignments/toy/bounds/most.json", "{}"), SCORE),
    "hooks and fixtures": (new("assignments/toy/conftest.py"), SCORE),
    "a row to train on": (text("assignments/toy/data/train.csv", "0.94185830", "0.94185831"), BOTH),
    "a row to predict": (text("assignments/toy/data/test.csv", "0.69270502", "0.69270503"), BOTH),
    "the target": (toml('target = "height"', 'target = "x4"'), BOTH),
    "a limit": (toml("memory_mb = 700", "memory_mb = 701"), BOTH),
    "the time": (toml("train_seconds = 6.0", "train_seconds = 7.0"), BOTH),
    "the loss": (toml("MSELoss", "L1Loss"), (True, False)),
    "what configs may say": (toml("100000]", "100001]"), (True, False)),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_asks_for_new_runs_and_what_for_new_scores(course: Path, what: str) -> None:
    """Whatever decides a run, or what it scores and earns; and nothing beside that."""
    edit, expected = EDITS[what]
    before = digests(course)
    edit(course)
    after = digests(course)
    assert tuple(one != other for one, other in zip(before, after, strict=True)) == expected


def test_a_course_may_lie_anywhere(course: Path, tmp_path: Path) -> None:
    """Neither its path, nor that of the reference, nor times of files count."""
    before = digests(course)
    shutil.copytree(course, tmp_path / "moved")
    assert digests(tmp_path / "moved") == before
    (tmp_path / "moved" / "reference" / "toy").rename(tmp_path / "hidden")
    assignment = load_assignment(tmp_path / "moved" / "assignments" / "toy")
    assert score_digest(assignment, tmp_path / "hidden") == before[1]
    os.utime(course / "assignments" / "toy" / "test_own.py", (0, 0))
    assert digests(course) == before


def test_two_assignments_are_never_the_same(course: Path) -> None:
    """Even where only the id tells them apart."""
    before = digests(course)
    (course / "assignments" / "toy").rename(course / "assignments" / "other")
    text("assignments/other/assignment.toml", 'id = "toy"', 'id = "other"')(course)
    assignment = load_assignment(course / "assignments" / "other")
    assert run_digest(assignment) != before[0]
    assert score_digest(assignment, course / "reference" / "toy") != before[1]


def test_a_file_that_is_gone_is_the_assignments_fault(course: Path) -> None:
    """It is named, and no digest is made of the rest."""
    (course / "assignments" / "toy" / "data" / "test.csv").unlink()
    for digest in (run_digest, lambda each: score_digest(each, course)):
        with pytest.raises(UsageError, match=r"test\.csv cannot be read: No such file"):
            digest(load_assignment(course / "assignments" / "toy"))


def test_the_code_that_judges_is_part_of_a_score() -> None:
    """A harness that judges otherwise asks for new scores: its modules are those that exist and judge."""
    host = Path(identity.__file__).parent
    assert all((host / f"{name}.py").is_file() for name in identity._JUDGES)
    assert {"checks", "metrics", "scoring"} <= set(identity._JUDGES)


def test_harness_is_known_by_its_release_and_its_guests_code() -> None:
    """The same in every process."""
    program = "from harness.host.identity import harness_version; print(harness_version())"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == harness_version()
    release, _, code = harness_version().partition("+")
    assert release.count(".") == 2
    assert len(code) == 12


def test_run_key_is_of_the_work() -> None:
    """Another submission, config or assignment is other work; the order of the config's tables is not."""
    key = run_key("a" * 64, "b" * 64, {"seed": 1, "model": {"hidden": 2}})
    assert run_key("a" * 64, "b" * 64, {"model": {"hidden": 2}, "seed": 1}) == key
    others = [
        run_key("c" * 64, "b" * 64, {"seed": 1, "model": {"hidden": 2}}),
        run_key("a" * 64, "c" * 64, {"seed": 1, "model": {"hidden": 2}}),
        run_key("a" * 64, "b" * 64, {"seed": 2, "model": {"hidden": 2}}),
        run_key("a" * 64, "unreadable: no model.py", {}),
        run_key("a" * 64, "unreadable: no config.toml \udc80", {}),
    ]
    assert len({key, *others}) == 6


def test_parts_of_a_key_are_not_run_together() -> None:
    """What ends one and begins the next makes a difference."""
    assert run_key("ab", "c", {}) != run_key("a", "bc", {})


LEAVES = st.one_of(
    *(st.booleans(), st.floats(), st.text(), st.dates(), st.times(), st.datetimes()),
    *(
        st.integers(),
        st.integers(min_value=16**9000),
    ),  # of which Python spells the latter in no decimal digits
)
TABLES = st.dictionaries(
    st.text(),
    st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
    max_size=5,
)


@given(TABLES)
def test_every_config_has_a_digest(config: dict[str, object]) -> None:
    """Whatever TOML can say has one, in whatever order; with one key more it has another."""
    backwards = dict(reversed(list(config.items())))
    assert config_digest(config) == config_digest(backwards)
    more = "x".join(config) + "x"
    assert config_digest({**config, more: 1}) != config_digest(config)


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, "1"), (True, 1), ("int 1", 1), ([1], "[1]"), (16, "int 10"), ([], {})]
)
def test_values_of_two_types_are_two_configs(one: object, other: object) -> None:
    """``1`` and ``1.0`` make two models."""
    assert config_digest({"x": one}) != config_digest({"x": other})


def test_every_submission_of_the_gallery_has_a_key() -> None:
    """Those that are made to break whoever reads them too."""
    keys = set()
    for folder in GALLERY.glob("*/submission/config.toml"):
        try:
            submission = load_submission(folder.parent, max_bytes=1 << 20)
        except InvalidSubmissionError:  # what cannot be read has no config
            continue
        keys.add(run_key("a" * 64, submission.sha256, submission.config))
    assert len(keys) > 50
