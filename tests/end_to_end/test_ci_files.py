"""What ``harness ci`` writes is valid, and works: its steps are run as a runner would run them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host.release.wheel import constraints, harness_wheel
from harness.host.store.listing import list_runs
from harness.host.store.place import place_of
from harness.host.store.store import Store
from tests.end_to_end.conftest import CONFIG, HARNESS, MODEL
from tests.end_to_end.jobs import Job, python_for_jobs, read
from tests.repositories import LINK, Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
GOOD = {"model.py": MODEL, "config.toml": CONFIG}
BREAKS = {**GOOD, "model.py": 'print("::error::forged")\n\nraise ValueError("::set-output name=a::b")\n'}
STARTER = {f"starter/{name}": content for name, content in GOOD.items()}
SELF_CHECK, PULL_REQUEST, POLL = (
    f".github/workflows/{name}.yml" for name in ("self-check", "grade-pull-request", "poll")
)


def ci(course: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``harness ci``."""
    return subprocess.run(
        [HARNESS, "ci", *arguments], cwd=course, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def written(course: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the files of a service; returns the folder that they are in."""

    def write(service: str, *options: str) -> Path:
        folder = tmp_path / "-".join((service, *options)).replace("/", "_")
        done = ci(course, service, "--assignment", "sum", "--out", str(folder), *options)
        assert done.returncode == 0, done.stderr
        return folder

    return write


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python as a job has it after its set-up."""
    return python_for_jobs(tmp_path_factory.mktemp("python"))


def contents(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The files of a folder, for a repository."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in but
    }


def kit(course: Path) -> dict[str, bytes | str]:
    """What a student's repository has from the beginning: the assignment without its answers, the harness."""
    name, wheel = harness_wheel()
    own = {f"assignments/{path}": content for path, content in contents(course / "assignments").items()}
    return {**own, f"packages/{name}": wheel, "constraints.txt": constraints()}


def courses(course: Path) -> dict[str, bytes | str]:
    """The course's own repository: the harness as sources, the assignment and the answers."""
    sources = {f"harness/{path}": content for path, content in contents(ROOT / "harness").items()}
    sources = {path: content for path, content in sources.items() if "__pycache__" not in path}
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        sources[name] = (ROOT / name).read_bytes()
    return {**sources, **contents(course)}


def in_submission(files: Mapping[str, str]) -> dict[str, str]:
    """A submission in its folder."""
    return {f"submission/{name}": content for name, content in files.items()}


@pytest.mark.parametrize(
    ("service", "schema"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")]
)
@pytest.mark.parametrize("options", [(), ("--instructor", "--sandbox", "docker")])
def test_each_file_is_what_its_service_takes(
    written: Callable[..., Path], service: str, schema: str, options: tuple[str, ...]
) -> None:
    """The schemas that the services publish find nothing wrong."""
    files = [path for path in written(service, *options).rglob("*") if path.is_file()]
    checker = Path(sys.prefix, "bin", "check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", schema, *files], capture_output=True, text=True, check=False, timeout=60
    )

    assert files
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("options", [(), ("--instructor",)])
def test_workflows_have_no_more_rights_than_they_need(
    written: Callable[..., Path], options: tuple[str, ...]
) -> None:
    """Actions are pinned, nothing may be written, no credential stays, no expression gets into a script."""
    for path in written("github", *options).rglob("*.yml"):
        workflow = read(path)
        (job,) = workflow["jobs"].values()
        rights = {**workflow["permissions"], **job.get("permissions", {})}
        assert rights == {"contents": "read"}
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
                assert not step["with"].get("submodules", False)
        commented = re.findall(r"uses: \S+@\S+(.*)", path.read_text())
        assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for comment in commented)
        assert "timeout-minutes" in job


def test_scripts_are_sound(written: Callable[..., Path], tmp_path: Path) -> None:
    """ShellCheck, where it is installed, finds nothing in any script."""
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck")
    scripts = []
    for service, options in (("github", ()), ("github", ("--instructor",))):
        for path in written(service, *options).rglob("*.yml"):
            (job,) = read(path)["jobs"].values()
            scripts += [step["run"] for step in job["steps"] if "run" in step]
    for options in ((), ("--instructor",)):
        (job,) = read(written("gitlab", *options) / ".gitlab-ci.yml").values()
        scripts.append("\n".join(job["script"]))
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(f"#!/bin/bash\n{script}\n")
    files = [*tmp_path.glob("*.sh"), *(ROOT / "harness/host/workflows/templates").glob("*.sh")]
    done = subprocess.run(["shellcheck", *files], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout


@pytest.mark.bubblewrap
def test_a_push_is_checked_on_github(
    written: Callable[..., Path], course: Path, tmp_path: Path, programs: Path
) -> None:
    """A failure stands on the line of the push, and what it prints is not obeyed."""
    shutil.rmtree(course / "reference")
    repository = Repository(tmp_path / "s001.git")
    folder = written("github")
    repository.push({**kit(course), **in_submission(BREAKS), **contents(folder)})
    job = Job(tmp_path / "job", programs, {"": repository.path})
    done = job.github(read(folder / SELF_CHECK))

    assert done.status == 1, done.log
    assert "\n::error file=submission/model.py,line=3,title=import_error::" in done.log
    assert not re.search(r"^::error::forged", done.log, re.MULTILINE)
    assert "import_error" in job.summary.read_text()


@pytest.mark.bubblewrap
def test_a_pull_request_is_graded_with_nothing_private_shown(
    written: Callable[..., Path], course: Path, tmp_path: Path, programs: Path
) -> None:
    """Harness, answers and workflow are the course's; whatever else the fork holds has no part in it."""
    own, fork = Repository(tmp_path / "course.git"), Repository(tmp_path / "fork.git")
    own.push(courses(course))
    evil = {
        "conftest.py": "raise SystemExit('conftest was imported')\n",
        "submission/pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "constraints.txt": "torch==0\n",
        ".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = ext::touch pwned\n',
    }
    fork.push({**in_submission(GOOD), **evil})
    context = {
        "vars.COURSE_REPOSITORY": "course/hidden",
        "github.event.pull_request.head.repo.full_name": "s001/fork",
        "github.event.pull_request.user.login": "s001",
        "secrets.HARNESS_STORE": str(tmp_path / "results" / "runs.sqlite"),
    }
    job = Job(tmp_path / "job", programs, {"course/hidden": own.path, "s001/fork": fork.path}, context)
    done = job.github(read(written("github", "--instructor") / PULL_REQUEST))

    assert done.status == 0, done.log
    shown = done.log + job.summary.read_text()
    assert "beats_simple[public]" in shown
    assert "private" not in shown
    assert "::warning title=beats_impossible[public]::" in done.log
    store = Store(place_of(str(tmp_path / "results" / "runs.sqlite"), None, tmp_path))
    (run,) = list_runs(store, "sum", None, None, 9)
    assert (run["student"], run["outcome"]) == ("s001", "ok")


def test_a_fork_cannot_hand_in_what_the_course_has(
    written: Callable[..., Path], course: Path, tmp_path: Path, programs: Path
) -> None:
    """A folder of it that is a link is not followed, to the reference solutions say."""
    own, fork = Repository(tmp_path / "course.git"), Repository(tmp_path / "fork.git")
    solutions = {f"reference/sum/solutions/one/{name}": text for name, text in GOOD.items()}
    own.push({**courses(course), **solutions})
    link = fork.blob(b"../course/reference/sum/solutions")
    fork.point(fork.tree((LINK, b"homework", link)))
    context = {
        "vars.COURSE_REPOSITORY": "course/hidden",
        "github.event.pull_request.head.repo.full_name": "s001/fork",
        "github.event.pull_request.user.login": "s001",
    }
    job = Job(tmp_path / "job", programs, {"course/hidden": own.path, "s001/fork": fork.path}, context)
    done = job.github(read(written("github", "--instructor", "--submission", "homework/one") / PULL_REQUEST))

    assert done.status != 0
    assert "there is no" in done.log
    assert "points" not in done.log


@pytest.mark.bubblewrap
@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_the_course_polls(
    written: Callable[..., Path], course: Path, tmp_path: Path, programs: Path, service: str
) -> None:
    """A scheduled job grades what the repositories on the roster have pushed, into a store that stays."""
    student, own = Repository(tmp_path / "s001.git"), Repository(tmp_path / "course.git")
    student.push(GOOD)
    own.push({**courses(course), "class.csv": f"student,submission\ns001,{student.path}\n"})
    home = tmp_path / "results"
    folder = written(service, "--instructor")
    job = Job(tmp_path / "job", programs, {"": own.path}, {"vars.HARNESS_STORE": str(home / "runs.sqlite")})
    if service == "github":
        done = job.github(read(folder / POLL))
        assert not (tmp_path / "job" / "temp" / "credentials").exists()
    else:
        pipeline = read(folder / ".gitlab-ci.yml")
        assert Job(tmp_path / "no", programs, {"": own.path}).gitlab(pipeline, {}).status == 2
        done = job.gitlab(pipeline, {"HARNESS_STORE": str(home / "runs.sqlite")})

    assert done.status == 0, done.log
    store = Store(place_of(str(home / "runs.sqlite"), None, home))
    assert [run["student"] for run in list_runs(store, "sum", None, None, 9)] == ["s001"]


@pytest.mark.bubblewrap
def test_a_push_is_checked_on_gitlab(
    written: Callable[..., Path], course: Path, tmp_path: Path, programs: Path
) -> None:
    """Without the answers the score is on the validation rows; the files that the job names are there."""
    shutil.rmtree(course / "reference")
    repository = Repository(tmp_path / "s001.git")
    folder = written("gitlab", "--submission", "homework/one")
    files = {f"homework/one/{name}": content for name, content in GOOD.items()}
    repository.push({**kit(course), **files, **contents(folder)})
    job = Job(tmp_path / "job", programs, {"": repository.path})
    pipeline = read(folder / ".gitlab-ci.yml")
    done = job.gitlab(pipeline, {})

    assert done.status == 0, done.log
    artifacts = pipeline["self-check"]["artifacts"]
    named = [*artifacts["paths"], *artifacts["reports"].values()]
    assert [name for name in named if not (job.workspace / name).is_file()] == []
    feedback = (job.workspace / "feedback.md").read_text()
    assert "There was no hidden reference: the score is on the validation rows." in feedback
    quality = json.loads((job.workspace / artifacts["reports"]["codequality"]).read_text())
    assert [entry["check_name"] for entry in quality] == ["beats_impossible[validation]"]
    assert quality[0]["location"]["path"] == "homework/one/model.py"


@pytest.mark.bubblewrap
def test_a_gradescope_bundle_grades(course: Path, tmp_path: Path, programs: Path) -> None:
    """Its scripts, run where Gradescope lays them out, leave results; a machine that cannot leaves none."""
    out, home = tmp_path / "bundle", tmp_path / "autograder"
    reference = course / "reference" / "sum"
    (reference / "solutions").mkdir()
    (reference / "solutions" / "model.py").write_text("# the solution\n")
    done = ci(course, "gradescope", "--assignment", "sum", "--reference", str(reference), "--out", str(out))
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(out / "autograder.zip") as archive:
        archive.extractall(home / "source")
        assert not [name for name in archive.namelist() if "solution" in name]
    (home / "results").mkdir()
    (home / "submission").mkdir()
    for name, content in GOOD.items():
        (home / "submission" / name).write_text(content)
    job = Job(tmp_path, programs, {})
    for name in ("setup.sh", "run_autograder"):
        (home / "source" / name).chmod(0o755)
    done_ = job.script(home / "source" / "setup.sh", {"AUTOGRADER": str(home)})
    assert done_.status == 0, done_.log
    assert re.search(r"^sha256:[0-9a-f]{64}$", done_.log, re.MULTILINE), "nothing is prepared"
    assert (home / "source" / "reference" / "sum" / "answers.csv").stat().st_mode & 0o077 == 0

    done_ = job.script(home / "source" / "run_autograder", {"AUTOGRADER": str(home)})
    assert done_.status == 0, done_.log
    results = json.loads((home / "results" / "results.json").read_text())
    assert sum(test["score"] for test in results["tests"]) == 5.0
    hidden = [test["name"] for test in results["tests"] if test["visibility"] != "visible"]
    assert hidden == ["beats_simple[private]", "beats_impossible[private]"]

    (home / "source" / "assignments" / "sum" / "test_more.py").write_text("def test_it(run):\n    1 / 0\n")
    done_ = job.script(home / "source" / "run_autograder", {"AUTOGRADER": str(home)})
    assert done_.status == 2
    assert not (home / "results" / "results.json").exists()


def test_a_bundle_without_answers_is_what_a_kit_has(course: Path, tmp_path: Path) -> None:
    """What student code may read there is what students have anyway; without a wall there are no answers."""
    for name, content in {**STARTER, "README.md": "# A sum\n"}.items():
        path = course / "assignments" / "sum" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (course / "assignments" / "sum" / "build.py").write_text("answers = 1\n")
    out = tmp_path / "bundle"
    arguments = ("gradescope", "--assignment", "sum", "--sandbox", "none", "--out", str(out))
    refused = ci(course, *arguments, "--reference", str(course / "reference" / "sum"))
    assert refused.returncode == 2
    assert "could read the answers" in refused.stderr
    assert not out.exists()

    assert ci(course, *arguments).returncode == 0
    files = contents(out)
    assert not [name for name in files if "reference" in name or "build.py" in name]
    assert b"split" not in files["assignments/sum/assignment.toml"]
    assert b"--sandbox none" in files["run_autograder"]
    assert (out / "run_autograder").stat().st_mode & 0o100

    answers = (course / "reference" / "sum" / "answers.csv").read_text()
    (course / "assignments" / "sum" / "README.md").write_text(f"# A sum\n\n{answers}")
    told = ci(course, *arguments[:-1], str(tmp_path / "another"))
    assert told.returncode == 2
    assert "README.md: the reference's answers.csv" in told.stderr
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("github", "--instructor", "--sandbox", "none"), "protects nothing"),
        (("github", "--submission", "../elsewhere"), "no folder in a repository"),
        (("gitlab", "--assignment", "some"), "there are sum"),
        (("github", "--sandbox", "chroot"), "bubblewrap"),
    ],
)
def test_what_cannot_be_meant_is_refused(course: Path, arguments: tuple[str, ...], words: str) -> None:
    """Nothing is written then."""
    done = ci(course, *arguments)

    assert done.returncode == 2
    assert words in done.stderr
    assert sorted(path.name for path in course.iterdir()) == ["assignments", "reference"]


def test_files_of_others_stay(course: Path, tmp_path: Path) -> None:
    """A pipeline that is there already is not overwritten, and the same one again is no fault."""
    file = tmp_path / ".gitlab-ci.yml"
    assert ci(course, "gitlab", "--out", str(tmp_path)).returncode == 0
    assert ci(course, "gitlab", "--out", str(tmp_path)).returncode == 0
    file.write_text("mine: {}\n")
    done = ci(course, "gitlab", "--out", str(tmp_path))

    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert file.read_text() == "mine: {}\n"
