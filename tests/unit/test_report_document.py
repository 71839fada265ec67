"""The JSON documents keep their contract, and a student's tells nothing of the private split."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from harness.host.errors import UsageError
from harness.host.records import Check, EpochClaim, Interval, Place, Report, Runtime, Score
from harness.host.report.document import staff_document, student_document, write_feedback, write_json
from harness.host.report.schema import StaffDocument, StudentDocument
from harness.protocol import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTRACT = """
{"schema": "harness/report/v1", "run_id": "...", "assignment": "hw1-bikes", "submission": {"name": "...", "sha256": "..."},
 "outcome": "ok", "phase": null, "message": "", "hint": "", "points": 7.5, "max_points": 10.0,
 "checks": [{"name": "beats_simple[public]", "outcome": "passed", "points": 0.5, "max_points": 0.5, "message": ""}],
 "metric": {"name": "rmse", "direction": "min", "validation": 0.0, "public": 0.0, "private": 0.0, "public_ci95": [0.0, 0.0], "private_ci95": [0.0, 0.0]},
 "baselines": [{"name": "simple", "threshold": 0.0, "public": true, "private": true}],
 "loss": {"train": [0.0], "valid": [0.0], "best_epoch": 1, "test": 0.0},
 "runtime": {"train_seconds": 0.0, "predict_seconds": 0.0, "total_seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_bytes": 0},
 "environment": {"sandbox": "docker", "isolated": true, "device": "cpu", "device_name": "...", "torch": "...", "python": "...", "image": "sha256:..."}}
"""  # noqa: E501  # the contract, word for word
PRIVATE_KEYS = {
    "metric": {"private", "private_ci95"},
    "baselines": {"private"},
    "loss": {"test"},
    "environment": {"image"},
}


def shape(value: Any) -> Any:
    """Keys, in their order, and types of a document; of a list, those of its first entry."""
    if isinstance(value, dict):
        return [(key, shape(entry)) for key, entry in value.items()]
    if isinstance(value, list):
        return [shape(entry) for entry in value[:1]]
    return type(value)


def read(path: Path) -> Any:
    """Parse a file of JSON, in which NaN and Infinity are errors."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def secret_report(report_with: Callable[..., Report]) -> Report:
    """A report whose private half is made of figures and words that stand nowhere else."""
    report = report_with()
    score = dataclasses.replace(
        report.run.score, private=Interval(7.7717771, (6.6616661, 8.8818881), 6430346), test_loss=5.5515551
    )
    environment = dataclasses.replace(report.run.environment, image="sha256:5ec2e7")
    return report_with(
        {"score": score, "environment": environment, "log": "SECRET"},
        checks=(*report.checks, Check("SECRET", "failed", 64.25, 91.125, "SECRET 7.7717771", private=True)),
    )


def test_staff_get_the_contract_key_for_key(report_with: Callable[..., Report]) -> None:
    """The document has the keys of the contract, in its order, with its types, and no others."""
    assert shape(staff_document(report_with())) == shape(json.loads(CONTRACT))


def test_a_student_gets_the_same_without_the_private_half(report_with: Callable[..., Report]) -> None:
    """What is missing from the student's document is the private half, and nothing else."""
    expected = json.loads(CONTRACT) | {"schema": "harness/feedback/v1"}
    for section, keys in PRIVATE_KEYS.items():
        entry = expected[section][0] if section == "baselines" else expected[section]
        for key in keys:
            del entry[key]
    document = student_document(report_with())
    assert shape(document) == shape(expected)
    assert document["schema"] == "harness/feedback/v1"


@pytest.mark.parametrize("ending", [".json", ".md"])
def test_no_private_figure_reaches_a_student(secret_report: Report, tmp_path: Path, ending: str) -> None:
    """Neither format has a private figure, verdict, check, point or name, nor the image."""
    path = tmp_path / f"feedback{ending}"
    write_feedback(secret_report, path)
    text = path.read_text(encoding="utf-8")
    assert "beats_strong[public]" in text
    for secret in ("7.7", "6.66", "8.88", "5.55", "6430346", "SECRET", "64.25", "91.1", "5ec2e7", "private"):
        assert secret not in text


def test_the_sentinels_are_in_staffs_document(secret_report: Report) -> None:
    """The control to the test above: staff do see what it looks for."""
    text = json.dumps(staff_document(secret_report))
    for secret in ("7.7717771", "6.6616661", "8.8818881", "5.5515551", "SECRET", "64.25", "91.125", "5ec2e7"):
        assert secret in text


def test_a_students_points_are_those_of_the_checks_shown(secret_report: Report) -> None:
    """The total does not tell what the private checks gave."""
    staff, student = staff_document(secret_report), student_document(secret_report)
    assert (student["points"], student["max_points"]) == (1.5, 3.0)
    assert (staff["points"], staff["max_points"]) == (66.25, 96.125)


def test_a_student_gets_four_significant_digits(report_with: Callable[..., Report]) -> None:
    """A displayed score is an oracle: what is shown to students is rounded, what staff get is not."""
    staff, student = staff_document(report_with()), student_document(report_with())
    assert (staff["metric"]["public"], student["metric"]["public"]) == (0.623456, 0.6235)
    figures = (*student["loss"]["train"], *student["loss"]["valid"], *student["metric"]["public_ci95"])
    assert all(figure == float(f"{figure:.4g}") for figure in figures)


def test_figures_that_are_not_finite_become_null(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """NaN and infinity, which JSON has not, are null wherever they come from."""
    claims = (EpochClaim(1, math.nan, math.inf, 0.1), EpochClaim(2, 0.5, -math.inf, 0.1))
    report = report_with(
        {
            "epochs": claims,
            "score": Score("rmse", "min", public=Interval(math.nan, (0.5, math.inf), 9), test_loss=math.inf),
            "runtime": Runtime(train_seconds=math.nan, cpu_seconds=None, peak_memory_bytes=None),
        }
    )
    for document in (staff_document(report), student_document(report)):
        write_json(document, tmp_path / "report.json")
        parsed = read(tmp_path / "report.json")
        assert parsed == document
        assert parsed["loss"]["train"] == [None, 0.5]
        assert parsed["loss"]["valid"] == [None, None]
        assert parsed["metric"]["public"] is None
        assert parsed["metric"]["public_ci95"] == [0.5, None]
        assert parsed["runtime"]["train_seconds"] is None


def test_a_run_that_failed_has_the_same_keys(failed_report: Report) -> None:
    """Programs need no special case: what was not measured is null, and the place leads the message."""
    document = staff_document(failed_report)
    assert [key for key, _ in shape(document)] == [key for key, _ in shape(json.loads(CONTRACT))]
    assert document["outcome"] == "contract_error"
    assert document["phase"] == "train"
    assert document["message"].startswith("model.py:12: MyModel returned")
    assert document["metric"]["private"] is None
    assert document["metric"]["private_ci95"] is None
    assert StaffDocument.model_validate(document).outcome is Outcome.CONTRACT_ERROR


def test_hostile_text_survives_as_data(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """Controls come back as they were, though the file shows none; undecodable names do not break it."""
    hostile = '"\x1b[2J\u202e\x9b\x00\u2028</script>\U000e0041é學'
    report = report_with({"message": hostile, "place": Place("a\nb.py", 3)}, submission_name="caf\udce9")
    write_json(staff_document(report), tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert not set(text) & set("\x1b\u202e\x9b\x00\u2028\U000e0041")
    assert "é學" in text
    parsed = read(tmp_path / "report.json")
    assert parsed["message"] == f"a\nb.py:3: {hostile}"
    assert parsed["submission"]["name"] == "caf\\udce9"


def test_lists_of_figures_stay_on_one_line(report_with: Callable[..., Report], tmp_path: Path) -> None:
    """A report of a thousand epochs can be read by people too, and ends with a line feed."""
    claims = tuple(EpochClaim(epoch, 1e-9 / epoch, -1.5, 0.1) for epoch in range(1, 1001))
    document = staff_document(report_with({"epochs": claims}))
    write_json(document, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert text.endswith("}\n")
    assert read(tmp_path / "report.json") == document


def test_a_figure_that_is_not_finite_is_no_json(tmp_path: Path) -> None:
    """A document from elsewhere cannot smuggle NaN into a file, and the old file stays."""
    path = tmp_path / "report.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_json({"points": math.nan}, path)
    assert path.read_text(encoding="utf-8") == "old"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new file takes the old one's place in one step, readable by others, with nothing beside it."""
    path = tmp_path / "report.json"
    path.write_text("x" * 10_000, encoding="utf-8")
    before = path.stat().st_ino
    write_json({"a": 1}, path)
    assert read(path) == {"a": 1}
    assert path.stat().st_ino != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_link_or_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """``--json /dev/stdout`` writes there and does not put a file in its place."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    write_json({"a": 1}, link)
    assert link.is_symlink()
    assert read(target) == {"a": 1}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json({"a": 2}, pipe)
    assert json.loads(os.read(reader, 100)) == {"a": 2}
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """A wrong path is the user's mistake, with a message that names the folder."""
    with pytest.raises(UsageError, match="nowhere does not exist"):
        write_json({}, tmp_path / "nowhere" / "report.json")


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    """A path that is no file is the user's mistake, and nothing is left behind."""
    with pytest.raises(UsageError, match="cannot be written"):
        write_json({}, tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be written"):
        write_json({}, tmp_path / "file" / "report.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["feedback.pdf", "feedback", "feedback.json.gz"])
def test_feedback_has_three_forms(report_with: Callable[..., Report], tmp_path: Path, name: str) -> None:
    """Any other ending is refused with the ones that there are."""
    with pytest.raises(UsageError, match=r"\.json or \.md or \.html"):
        write_feedback(report_with(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_feedback_in_json_is_the_students_document(
    report_with: Callable[..., Report], tmp_path: Path
) -> None:
    """The file has what `student_document` returns, and its schema takes it back."""
    write_feedback(report_with(), tmp_path / "feedback.JSON")
    parsed = read(tmp_path / "feedback.JSON")
    assert parsed == student_document(report_with())
    assert StudentDocument.model_validate(parsed).phase is None


def test_a_schema_can_be_published() -> None:
    """Other programs can check documents against a JSON schema that names each key."""
    schema = StaffDocument.model_json_schema(mode="serialization")
    assert list(schema["properties"]) == list(json.loads(CONTRACT))
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Phase"]["enum"] == [phase.value for phase in Phase]
