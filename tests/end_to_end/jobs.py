"""Runs the workflows of GitHub and GitLab as their runners would, with what comes from outside replaced.

A checkout is a clone of a repository of the test, and setting up Python puts one before the others whose
environments find here what an index would have given. Every other step is run as it stands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SECONDS = 280
_EXPRESSION = re.compile(r"\$\{\{ ([\w.]+) \}\}")


def read(path: Path) -> dict[str, Any]:
    """A workflow."""
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


def python_for_jobs(folder: Path) -> Path:
    """A folder for PATH whose ``python -m venv`` gives environments in which pip has to download nothing."""
    packages, prepared, programs = folder / "packages", folder / "venv", folder / "bin"
    packages.mkdir(parents=True)
    for place in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.match(r"(__editable__)?_*harness|pip", place.name):
            (packages / place.name).symlink_to(place)
    subprocess.run([sys.executable, "-m", "venv", prepared], check=True, timeout=SECONDS)
    site_packages = next((prepared / "lib").glob("python*/site-packages"))
    for bundled in site_packages.glob("setuptools*"):
        shutil.rmtree(bundled)  # another version than torch is pinned with
    (site_packages / "here.pth").write_text(f"{packages}\n")
    subprocess.run(
        [Path(sys.prefix, "bin", "harness"), "runtime"], check=True, capture_output=True, timeout=SECONDS
    )
    (prepared / "var").symlink_to(Path(sys.prefix, "var"))  # where the sandbox's packages are laid out
    programs.mkdir()
    for name in ("python", "python3", "python3.11"):
        (programs / name).write_text(
            '#!/bin/sh\nif [ "$1 $2" = "-m venv" ]; then\n'
            f'mkdir -p "$(dirname "$3")" && ln -sfn {prepared} "$3"\nelse exec {sys.executable} "$@"; fi\n'
        )
        (programs / name).chmod(0o755)
    return programs


@dataclass
class Outcome:
    """How a job ended: the status of its last step, and all that was printed."""

    status: int
    log: str


@dataclass
class Job:
    """A place where workflows are run.

    Attributes:
        folder: of the job; the working copy is in it.
        programs: of `python_for_jobs`.
        repositories: what is checked out, by its name; under "" the one that the workflow is in.
        context: what expressions stand for.
    """

    folder: Path
    programs: Path
    repositories: dict[str, Path]
    context: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        """The working copy."""
        return self.folder / "workspace"

    @property
    def summary(self) -> Path:
        """What the steps wrote for the job's page."""
        return self.folder / "summary.md"

    def github(self, workflow: dict[str, Any]) -> Outcome:
        """Run the steps of a workflow's only job, until one fails."""
        (job,) = workflow["jobs"].values()
        log = ""
        variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.folder / "temp"),
        }
        (self.folder / "temp").mkdir(parents=True, exist_ok=True)
        self.workspace.mkdir(exist_ok=True)
        for step in job["steps"]:
            if "uses" in step:
                self._use(step)
                continue
            meant = {**variables, **self._meant(job.get("env", {})), **self._meant(step.get("env", {}))}
            where = self.workspace / step.get("working-directory", ".")
            done = self._run("set -e\n" + step["run"], meant, where)
            log += done.stdout
            if done.returncode:
                return Outcome(done.returncode, log)
        return Outcome(0, log)

    def gitlab(self, pipeline: dict[str, Any], variables: dict[str, str]) -> Outcome:
        """Run the script of a pipeline's only job in a clone of its repository."""
        (job,) = pipeline.values()
        self._clone(self.repositories[""], self.workspace)
        known = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(self.workspace), **variables}
        for name, value in job["variables"].items():
            known[name] = value.replace("$CI_PROJECT_DIR", str(self.workspace))
        done = self._run("set -eo pipefail\n" + "\n".join(job["script"]), known, self.workspace)
        return Outcome(done.returncode, done.stdout)

    def script(self, path: Path, variables: dict[str, str]) -> Outcome:
        """Run a program."""
        done = self._run(str(path), variables, self.folder)
        return Outcome(done.returncode, done.stdout)

    def _use(self, step: dict[str, Any]) -> None:
        if step["uses"].startswith("actions/checkout@"):
            settings = self._meant(step["with"])
            name = settings.get("repository", "")
            self._clone(self.repositories[name], self.workspace / settings.get("path", "."))

    @staticmethod
    def _clone(repository: Path, folder: Path) -> None:
        subprocess.run(["git", "clone", "-q", repository, folder], check=True, timeout=SECONDS)

    def _meant(self, settings: dict[str, Any]) -> dict[str, str]:
        return {
            name: _EXPRESSION.sub(lambda match: self.context.get(match[1], ""), str(value))
            for name, value in settings.items()
        }

    def _run(self, script: str, variables: dict[str, str], where: Path) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in variables.items() if "PIP_EXTRA" not in name}
        outside = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "false",
            "PIP_QUIET": "1",
        }
        outside |= {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}
        return subprocess.run(
            ["bash", "-c", script],
            cwd=where,
            env={**outside, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
