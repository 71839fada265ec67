"""A new assignment whose files a test may change, and what a look at it finds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.host.assignment import load_assignment, reference_folder
from harness.host.data import load_data
from harness.host.release.hidden import read_hidden
from harness.host.validation.findings import Finding, Level
from harness.host.validation.validate import examine, examine_data, examine_what_students_get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSED, WARNING, PROBLEM = Level.PASSED, Level.WARNING, Level.PROBLEM
FOR_STUDENTS = {"handout", "starter", "kit", "data"}
TARGETS = {"regression": "y", "classification": "colour"}


@dataclass
class Made:
    """An assignment whose files can be changed."""

    folder: Path
    reference: Path
    target: str

    def train(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change the training rows."""
        self._rewrite(self.folder / "data" / "train.csv", change)

    def test(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change the test rows, targets included; features and answers go into their files."""
        inputs = pd.read_csv(self.folder / "data" / "test.csv")
        whole = change(inputs.merge(pd.read_csv(self.reference / "answers.csv"), on="id"))
        whole.drop(columns=self.target).to_csv(self.folder / "data" / "test.csv", index=False)
        whole[["id", self.target]].to_csv(self.reference / "answers.csv", index=False)

    def both(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change both in the same way."""
        self.train(change)
        self.test(change)

    def write(self, name: str, old: str, new: str) -> None:
        """Change a file's text."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def findings(self) -> list[Finding]:
        """What is found without running anything."""
        assignment = load_assignment(self.folder)
        return list(examine(assignment, reference_folder(assignment), None))

    def about(self, subject: str) -> list[Finding]:
        """What is found of one subject."""
        assignment = load_assignment(self.folder)
        data = load_data(assignment)
        hidden = read_hidden(assignment, data, reference_folder(assignment))
        part = examine_what_students_get if subject in FOR_STUDENTS else examine_data
        return [finding for finding in part(assignment, data, hidden) if finding.subject == subject]

    def levels(self, subject: str) -> set[Level]:
        """How a subject stands."""
        return {finding.level for finding in self.about(subject)}

    def _rewrite(self, path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        change(pd.read_csv(path)).to_csv(path, index=False)


def copied(courses: Path, folder: Path, task: str) -> Made:
    """A copy that a test may change."""
    shutil.copytree(courses, folder / "course")
    course = folder / "course"
    return Made(course / "assignments" / task, course / "reference" / task, TARGETS[task])
