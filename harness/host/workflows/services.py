"""The workflows of GitHub and GitLab: a student's self-check, and those of the course."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.host.errors import UsageError
from harness.host.workflows.writing import filled

if TYPE_CHECKING:
    from harness.host.assignment import Assignment

# For each service, the template of each file: of a student's repository, and of the course's.
STUDENT = {
    "github": {".github/workflows/self-check.yml": "github-self-check.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab-self-check.yml"},
}
INSTRUCTOR = {
    "github": {
        ".github/workflows/grade-pull-request.yml": "github-pull-request.yml",
        ".github/workflows/poll.yml": "github-poll.yml",
    },
    "gitlab": {".gitlab-ci.yml": "gitlab-poll.yml"},
}


def workflows(
    service: str, assignment: Assignment, sandbox: str, submission: str, *, instructor: bool
) -> dict[str, bytes]:
    """The files of a service, by their path in the repository.

    Args:
        service: ``github`` or ``gitlab``.
        assignment: what is graded.
        sandbox: where student code runs.
        submission: the folder of the submission in a student's repository.
        instructor: whether the course grades by them; else students check themselves.

    Raises:
        UsageError: the sandbox is none, where others' work is graded; or the folder is no such.
    """
    if instructor and sandbox == "none":
        raise UsageError(
            "--sandbox none protects nothing, and the answers are on that machine",
            "take bubblewrap or docker; none is for a student's own code",
        )
    templates = (INSTRUCTOR if instructor else STUDENT)[service]
    return {
        path: filled(template, assignment, sandbox, submission).encode()
        for path, template in templates.items()
    }
