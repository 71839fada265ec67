"""A CI system shows where a submission went wrong, which cannot speak to it; nothing private is shown."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.errors import UsageError
from harness.host.records import Check, Place, Report, Submission
from harness.host.report.annotations import Annotation, Sources
from harness.host.report.ci import ci_of, remarks_on, speak_to
from harness.host.report.document import student_markdown
from harness.host.report.github import MOST_ANNOTATIONS, command
from harness.host.report.gitlab import write_code_quality
from harness.host.report.public import public_side
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

EVIL = "x\n::error::forged\r\n%0A::set-env name=A::b\x1b[0Ksection_end:1:report\r##[error]hi"
MODEL = b"import torch\n" * 20


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the submission in a folder of it."""
    (tmp_path / "repository" / "hw1").mkdir(parents=True)
    return tmp_path / "repository"


def read(**files: bytes) -> Submission:
    """A submission as it was read."""
    named = {name.replace("_", "."): content for name, content in files.items()}
    return Submission("s001", "ab", named, {}, Path("hw1"))


def spoken(text: str) -> dict[str, str]:
    """A workflow command as GitHub's runner reads it: its properties, and its message."""
    head, _, data = text.removeprefix("::").partition("::")
    _, _, properties = head.partition(" ")
    found = dict(each.split("=", 1) for each in properties.split(","))
    for name, escape in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        found = {key: value.replace(name, escape) for key, value in found.items()}
    for name, escape in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        data = data.replace(name, escape)
    return {**found, "message": data}


@pytest.mark.parametrize(
    ("choice", "variables", "found"),
    [
        ("auto", {"GITHUB_ACTIONS": "true"}, "github"),
        ("auto", {"GITLAB_CI": "true"}, "gitlab"),
        ("auto", {"CI": "true"}, "none"),
        ("none", {"GITHUB_ACTIONS": "true"}, "none"),
        ("gitlab", {}, "gitlab"),
    ],
)
def test_the_system_says_that_it_is_there(choice: str, variables: dict[str, str], found: str) -> None:
    """Without a choice, what reads along is what its variable says; a choice is taken as it is."""
    assert ci_of(choice, variables) == found


def test_a_failure_is_put_on_its_line(failed_report: Report, repository: Path) -> None:
    """GitHub gets the file as the repository knows it, the line, and the hint with the message."""
    variables = {"GITHUB_WORKSPACE": str(repository)}
    report = public_side(failed_report)
    remarks, _ = remarks_on(report, read(model_py=MODEL), repository / "hw1", variables)
    lines: list[str] = []
    speak_to("github", variables, lines.append).conclude("", remarks)

    assert lines[0].startswith("::error file=hw1/model.py,line=12,title=contract_error::MyModel returned")
    assert spoken(lines[0])["message"].endswith("\nGive the last layer one output: nn.Linear(hidden, 1).")
    assert [line.split(" ")[0] for line in lines[1:]] == ["::warning"]


@pytest.mark.parametrize(
    "place",
    [Place("../../.github/workflows/x.yml", 1), Place("model.py", 10**9), Place("model.py", 0), Place("", 1)],
)
def test_a_claimed_place_that_is_not_the_students_is_left_out(
    report_with: Callable[..., Report], repository: Path, place: Place
) -> None:
    """Only lines of files that were handed in are pointed at."""
    report = report_with({"outcome": Outcome.RUNTIME_ERROR, "message": "m", "place": place})
    variables = {"GITHUB_WORKSPACE": str(repository)}
    (remark, *_), _ = remarks_on(public_side(report), read(model_py=MODEL), repository / "hw1", variables)

    assert (remark.file, remark.line) == ("", None)


def test_what_lies_outside_of_the_repository_has_no_place_in_it(
    failed_report: Report, repository: Path
) -> None:
    """An archive, or a folder elsewhere, is remarked on without a file."""
    for where in (repository.parent, repository / "missing.zip"):
        (remark, *_), _ = remarks_on(
            failed_report, read(model_py=MODEL), where, {"CI_PROJECT_DIR": str(repository)}
        )
        assert remark.file == ""


def test_a_config_that_cannot_be_read_is_pointed_at(
    report_with: Callable[..., Report], repository: Path
) -> None:
    """Our own parser says which line it was, though nothing was read of the submission."""
    report = report_with(
        {"outcome": Outcome.INVALID_SUBMISSION, "message": "m", "place": Place("config.toml", 7)}
    )
    (remark, *_), _ = remarks_on(report, None, repository, {"CI_PROJECT_DIR": str(repository)})

    assert (remark.file, remark.line) == ("config.toml", 7)


@given(st.text(), st.text(), st.text())
def test_no_text_ends_a_command_or_begins_another(text: str, title: str, file: str) -> None:
    """Whatever stands in it, a command is one line, and is read back as what was meant."""
    written = command("error", text, title=title, file=file, line=3)

    assert len(written.splitlines()) == 1
    assert written.count("::") >= 2
    back = spoken(written)
    assert back["line"] == "3"
    assert set(back) <= {"file", "line", "title", "message"}


def test_hostile_text_is_inert_in_every_form(
    report_with: Callable[..., Report], repository: Path, tmp_path: Path
) -> None:
    """Commands and section markers in messages and names reach neither the log nor the files as such."""
    report = report_with(
        {"outcome": Outcome.RUNTIME_ERROR, "message": EVIL, "hint": EVIL, "place": Place(EVIL, 1)},
        submission_name=EVIL,
        checks=(Check(EVIL, "failed", 0.0, 1.0, EVIL),),
    )
    variables = {"GITHUB_WORKSPACE": str(repository)}
    remarks, sources = remarks_on(public_side(report), read(model_py=b""), repository / "hw1", variables)
    lines: list[str] = []
    speak_to("github", variables, lines.append).conclude("", remarks)
    write_code_quality(remarks, sources, tmp_path / "quality.json")

    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert all(line.isprintable() and "##[" not in line for line in lines)
    assert "\\u001b" not in (tmp_path / "quality.json").read_text()
    for entry in json.loads((tmp_path / "quality.json").read_text()):
        assert not any(line.startswith("::") for line in entry["description"].splitlines())


def test_what_a_submission_prints_stands_between_tokens() -> None:
    """Commands are off meanwhile, with a token that cannot be guessed, and on again even after a fault."""
    lines: list[str] = []
    github = speak_to("github", {}, lines.append)
    for _ in range(2):
        with suppress(KeyError), github.section("report", "Report"):
            lines.append("::error::forged")
            raise KeyError

    tokens = [line.removeprefix("::stop-commands::") for line in lines if "stop-commands" in line]
    assert [line for line in lines if line.startswith("::") and line != "::error::forged"] == [
        f"::stop-commands::{tokens[0]}",
        f"::{tokens[0]}::",
        f"::stop-commands::{tokens[1]}",
        f"::{tokens[1]}::",
    ]
    assert len(set(tokens)) == 2
    assert all(len(token) == 32 for token in tokens)


def test_no_more_annotations_than_are_shown(tmp_path: Path) -> None:
    """GitHub drops all but ten of a kind; the summary has the rest."""
    lines: list[str] = []
    github = speak_to("github", {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}, lines.append)
    github.conclude("# All\n", [Annotation(f"check {n}", "no", serious=False) for n in range(30)])

    assert len(lines) == MOST_ANNOTATIONS
    assert (tmp_path / "summary.md").read_text() == "# All\n"


def test_the_summary_is_added_and_never_too_long(tmp_path: Path) -> None:
    """What other commands of the step wrote stays; over GitHub's limit there is a line instead."""
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    github = speak_to("github", {"GITHUB_STEP_SUMMARY": str(file)}, print)
    github.conclude("short\n", [])
    github.conclude("é" * 600_000, [])

    assert file.read_text() == "before\nshort\nThe feedback is in the log.\n"
    broken = speak_to("github", {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "file")}, print)
    with pytest.raises(UsageError, match="cannot be written"):
        broken.conclude("", [])


def test_nothing_private_is_in_the_public_side(report_with: Callable[..., Report]) -> None:
    """No private check, figure or verdict is left, and the interval is as coarse as in the feedback."""
    report = report_with()
    public = public_side(report)

    assert [check.name for check in public.checks] == [c.name for c in report.checks if not c.private]
    assert (public.points, public.max_points) == (1.5, 3.0)
    assert public.run.score.private is None
    assert public.run.score.test_loss is None
    assert {tier.private for tier in public.run.baselines} == {None}
    assert public.run.score.public is not None
    assert public.run.score.public.ci95 == (0.6, 0.65)
    assert "| public test | 0.6235 | 0.6000 to 0.6500 |" in student_markdown(report)
    assert "0.6346" not in str(public)


def test_sections_fold_in_gitlab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A section begins and ends by its name, each marker on a line of its own."""
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.5)
    lines: list[str] = []
    with speak_to("gitlab", {}, lines.append).section("report", "Report"):
        lines.append("text")

    assert lines == [
        "\x1b[0Ksection_start:1900000000:report\r\x1b[0KReport",
        "text",
        "\x1b[0Ksection_end:1900000000:report\r\x1b[0K",
    ]


def test_code_quality_is_what_gitlab_reads(tmp_path: Path) -> None:
    """Each entry has what the widget needs, and a fingerprint that stays when the line moves."""
    sources = Sources("hw1", {"model.py": MODEL})
    remarks = [
        Annotation("runtime_error", "it broke", serious=True, file="hw1/model.py", line=3),
        Annotation("beats_simple[public]", "0 of 1 points", serious=False),
    ]
    first = quality(remarks, sources, tmp_path)
    moved = [Annotation("runtime_error", "it broke", serious=True, file="hw1/model.py", line=9), remarks[1]]
    second = quality(moved, sources, tmp_path)

    assert first[0] == {
        "description": "it broke",
        "check_name": "runtime_error",
        "fingerprint": first[0]["fingerprint"],
        "severity": "critical",
        "location": {"path": "hw1/model.py", "lines": {"begin": 3}},
    }
    assert first[1]["location"] == {"path": "hw1/model.py", "lines": {"begin": 1}}
    assert [entry["fingerprint"] for entry in first] == [entry["fingerprint"] for entry in second]
    assert len({entry["fingerprint"] for entry in first}) == 2


def quality(remarks: list[Annotation], sources: Sources, folder: Path) -> list[dict[str, Any]]:
    """Write the report and read it back."""
    write_code_quality(remarks, sources, folder / "quality.json")
    read_back: list[dict[str, Any]] = json.loads((folder / "quality.json").read_text())
    return read_back
