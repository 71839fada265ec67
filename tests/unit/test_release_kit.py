"""A kit has what is allowed and nothing else, and is written whole or not at all."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from harness.host.assignment import load_assignment, reference_folder
from harness.host.cli import app
from harness.host.errors import UsageError
from harness.host.release.kit import make_kit
from harness.host.release.public import public_toml
from harness.host.release.wheel import constraints, harness_wheel
from tests.planted import Planted, plant

if TYPE_CHECKING:
    from typer.testing import Result

ROOT = Path(__file__).parents[2]
ALLOWED = {
    ".gitignore",
    "Makefile",
    "README.md",
    "assignments/planted/README.md",
    "assignments/planted/assignment.toml",
    "assignments/planted/data/NOTICE",
    "assignments/planted/data/test.csv",
    "assignments/planted/data/train.csv",
    "assignments/planted/starter/config.toml",
    "assignments/planted/starter/model.py",
    "assignments/planted/test_planted.py",
    "constraints.txt",
    "packages/harness-0.1.0-py3-none-any.whl",
    "submission.ipynb",
    "submission/config.toml",
    "submission/model.py",
}
CHECKED_ON_EACH_PUSH = {".github/workflows/self-check.yml", ".gitlab-ci.yml"}
MORE_KEYS = """
deadline = 2030-03-01T23:59:00+08:00
attempts_per_day = 4
docker_runtime = "runsc"
# the boss gets 33.3 on the private half
"""
MORE_TABLES = """
[split]
public_share = 0.3
[late]
penalty_per_day = 0.1
[[tiers]]
name = "simple"
threshold = 60.0
public_points = 0.5
private_points = 1.5
[[tiers]]
name = "böse \\"boss\\""
threshold = 20.0
public_points = 1.0
private_points = 0.0
[ranges]
"optimizer.lr" = [1e-6, 10.0]
"""


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """An assignment with a folder full of what is nobody's business, and all keys that there are."""
    made = plant(tmp_path / "course", "regression")
    folder = made.assignment.folder
    for name in ("build.py", "notes.md", "data/all.csv", "data/NOTICE", "test_planted.py", "starter/old.csv"):
        (folder / name).write_text("PRIVATE = 1\n" if name.endswith(".py") else "private\n")
    (folder / "test_planted.py").write_text("def test_it(run):\n    assert run, 'no run'\n")
    toml = folder / "assignment.toml"
    toml.write_text(toml.read_text().replace("task =", MORE_KEYS + "task =") + MORE_TABLES)
    return made


def command(planted: Planted, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the command did."""
    monkeypatch.chdir(planted.assignment.folder.parents[1])
    return CliRunner().invoke(app, ["release", "planted", *arguments])


def test_what_is_not_named_is_not_in(planted: Planted) -> None:
    """Only what the list names gets in, whatever else lies in the assignment's folder."""
    kit = make_kit(load_assignment(planted.assignment.folder), [], print)

    assert set(kit.files) == ALLOWED
    assert kit.test_file == "assignments/planted/data/test.csv"


def test_the_kits_assignment_grades_as_the_courses_own(planted: Planted) -> None:
    """Everything that a grading on validation rows depends on is the same."""
    own = load_assignment(planted.assignment.folder)
    planted.assignment.folder.joinpath("assignment.toml").write_text(public_toml(own))
    public = load_assignment(planted.assignment.folder)

    for key in (
        "id",
        "title",
        "task",
        "data",
        "metric",
        "loss",
        "limits",
        "points",
        "ranges",
        "deadline",
        "late",
    ):
        assert getattr(public, key) == getattr(own, key), key
    for ours, theirs in zip(own.tiers, public.tiers, strict=True):
        assert (theirs.name, theirs.threshold) == (ours.name, ours.threshold)
        assert theirs.public_points + theirs.private_points == ours.public_points + ours.private_points


def test_the_kits_assignment_tells_nothing_of_the_private_half(planted: Planted) -> None:
    """Neither the split, nor what a tier is worth on each half, nor the course's machine, nor any comment."""
    table = tomllib.loads(text := public_toml(load_assignment(planted.assignment.folder)))

    assert "split" not in table
    assert "docker_runtime" not in table
    assert {tier["private_points"] for tier in table["tiers"]} == {0.0}
    assert "33.3" not in text


def test_checks_for_staff_only_stay_at_home(planted: Planted) -> None:
    """A file with a private check is left out, and that is said."""
    check = planted.assignment.folder / "test_planted.py"
    check.write_text(
        "import pytest\n@pytest.mark.points(1, private=bool(1))\ndef test_it(run):\n    assert run, ''\n"
    )
    notes: list[str] = []
    kit = make_kit(load_assignment(planted.assignment.folder), [], notes.append)

    assert "assignments/planted/test_planted.py" not in kit.files
    assert ["test_planted.py" in note for note in notes] == [True]


def test_the_notebook_says_what_the_starter_says(planted: Planted) -> None:
    """One cell has the config as a dictionary, one the model, and neither has been run."""
    kit = make_kit(load_assignment(planted.assignment.folder), [], print)
    notebook = json.loads(kit.files["submission.ipynb"])
    config, model = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")

    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell.get("outputs") == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert model + "\n" == kit.files["submission/model.py"].decode()
    assert ast.literal_eval(config.removeprefix("config = ")) == tomllib.loads(
        kit.files["submission/config.toml"].decode()
    )


def test_a_dead_link_of_the_handout_is_told(planted: Planted) -> None:
    """A figure that the handout shows is in the kit where it is named with --also; else a note says so."""
    folder = planted.assignment.folder
    (folder / "README.md").write_text("![loss](figures/loss.svg) and [data](data/train.csv)")
    (folder / "figures").mkdir()
    (folder / "figures" / "loss.svg").write_text("<svg/>")
    notes: list[str] = []
    assignment = load_assignment(folder)
    make_kit(assignment, [], notes.append)
    kit = make_kit(assignment, ["figures/loss.svg"], pytest.fail)

    assert ["figures/loss.svg" in note for note in notes] == [True]
    assert kit.files["assignments/planted/figures/loss.svg"] == b"<svg/>"


def test_what_a_newer_kit_installs_has_another_mark(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked over an older kit, a newer one is installed, although its version may be the same."""
    assignment = load_assignment(planted.assignment.folder)
    name, packed = harness_wheel()
    older, same = (make_kit(assignment, [], print).files["Makefile"] for _ in range(2))
    monkeypatch.setattr("harness.host.release.kit.harness_wheel", lambda: (name, packed + b"newer"))
    newer = make_kit(assignment, [], print).files["Makefile"]

    assert older == same != newer


@pytest.mark.parametrize("path", ["../../reference/planted/answers.csv", "link.csv", "nowhere.csv"])
def test_nothing_from_elsewhere_gets_in(path: str, planted: Planted) -> None:
    """A path or a link that leads out of the assignment's folder is refused, and so is one to nothing."""
    (planted.assignment.folder / "link.csv").symlink_to(planted.reference / "answers.csv")

    with pytest.raises(UsageError):
        make_kit(load_assignment(planted.assignment.folder), [path], print)


def test_a_missing_starter_is_told(planted: Planted) -> None:
    """A kit without something to begin with is not made."""
    (planted.assignment.folder / "starter" / "config.toml").unlink()

    with pytest.raises(UsageError, match=r"no config\.toml"):
        make_kit(load_assignment(planted.assignment.folder), [], print)


def test_a_kit_is_written_as_a_folder_and_as_an_archive(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the same files; the archive's lie in one folder, and it is the same bytes every time."""
    out, archive, again = (tmp_path / name for name in ("kit", "kit.zip", "again.zip"))
    done = command(planted, "--out", str(out), "--zip", str(archive), monkeypatch=monkeypatch)
    command(planted, "--zip", str(again), monkeypatch=monkeypatch)
    with zipfile.ZipFile(archive) as packed:
        names = {member.removeprefix("planted-kit/"): packed.read(member) for member in packed.namelist()}

    assert done.exit_code == 0, done.output
    assert set(names) == ALLOWED | CHECKED_ON_EACH_PUSH
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == set(names)
    assert {name: (out / name).read_bytes() for name in names} == names
    assert archive.read_bytes() == again.read_bytes()


def test_a_kit_with_a_leak_is_not_written(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and what it tells are named, the status is 1, and nothing is left behind."""
    leaked = planted.assignment.folder / "figure.csv"
    leaked.write_bytes((planted.reference / "answers.csv").read_bytes())
    here = set(tmp_path.iterdir())
    done = command(
        planted,
        "--also",
        "figure.csv",
        "--out",
        str(tmp_path / "kit"),
        "--zip",
        str(tmp_path / "k.zip"),
        monkeypatch=monkeypatch,
    )

    assert done.exit_code == 1
    assert "assignments/planted/figure.csv: the answers" in done.stderr
    assert "nothing was written" in done.stderr
    assert set(tmp_path.iterdir()) == here


@pytest.mark.parametrize("option", ["--out", "--zip"])
def test_nothing_is_written_over(
    option: str, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there already stays as it is, an empty folder too."""
    target = tmp_path / "there"
    target.mkdir()
    done = command(planted, option, str(target), monkeypatch=monkeypatch)

    assert isinstance(done.exception, UsageError)
    assert "there already" in done.exception.message
    assert list(target.iterdir()) == []


def test_without_the_reference_there_is_no_kit(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can tell what is hidden, nothing is handed out."""
    planted.reference.rename(tmp_path / "elsewhere")
    done = command(planted, "--out", str(tmp_path / "kit"), monkeypatch=monkeypatch)

    assert isinstance(done.exception, UsageError)
    assert "--reference" in done.exception.fix
    assert not reference_folder(planted.assignment).exists()


def test_the_wheel_is_the_package_and_nothing_else() -> None:
    """Every file of the package that is under version control is in it, but for templates; no test is."""
    listed = subprocess.run(
        ["git", "ls-files", "harness"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {
        name for name in listed.stdout.split() if not name.endswith(".tmpl") and (ROOT / name).exists()
    }
    with zipfile.ZipFile(io.BytesIO(harness_wheel()[1])) as wheel:
        names = set(wheel.namelist())

    assert tracked <= names
    assert {name.split("/")[0] for name in names} == {"harness", "harness-0.1.0.dist-info"}
    assert not [name for name in names if "reference/" in name or "pyc" in name or "tests/" in name]


def test_the_wheel_says_what_is_in_it() -> None:
    """Each file's digest and size stand in RECORD, and the command and the plugin in the entry points."""
    with zipfile.ZipFile(io.BytesIO(harness_wheel()[1])) as wheel:
        record = wheel.read("harness-0.1.0.dist-info/RECORD").decode()
        lines = dict(line.split(",", 1) for line in record.splitlines())
        for name in wheel.namelist():
            digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).decode().rstrip("=")
            assert lines[name] in {f"sha256={digest},{wheel.getinfo(name).file_size}", ","}
        points = wheel.read("harness-0.1.0.dist-info/entry_points.txt").decode()

    assert len(lines) == len(wheel.namelist())
    assert "harness = harness.host.cli:main" in points
    assert "harness = harness.host.pytest_plugin" in points


def test_constraints_pin_whatever_is_installed_with_it() -> None:
    """Each requirement has one version, which any build of it has."""
    pinned = [Requirement(line) for line in constraints().splitlines()]

    assert {"torch", "numpy", "pydantic", "sympy"} <= {each.name for each in pinned}
    assert all(str(each.specifier).startswith("==") and "+" not in str(each.specifier) for each in pinned)
    assert not {"harness", "ruff", "hypothesis"} & {each.name for each in pinned}
