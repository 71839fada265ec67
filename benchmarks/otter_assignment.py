"""The plain script's work as an assignment of otter-grader, for its ``otter run``, which uses no container.

The submission is the student's ``model.py``; the assignment's only test trains and predicts by the plain
script.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import processes

if TYPE_CHECKING:
    from workloads import Workload

CONFIG = {"print_summary": False, "logo": False}
TEST = """
import sys

from otter.test_files import test_case

OK_FORMAT = False
name = "train"
points = 1


@test_case(points=1)
def test_train(MyModel):
    assert MyModel is not None
    sys.path.insert(0, {scripts!r})
    import plain_script

    plain_script.main({arguments!r})
"""


def make(workload: Workload, folder: Path) -> Path:
    """Write the assignment's zip file into a folder, where its test leaves its results too."""
    arguments = [*workload.plain_options(), "--out", str(folder)]
    scripts = str(Path(__file__).resolve().parent)
    path = folder / "autograder.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("otter_config.json", json.dumps(CONFIG))
        archive.writestr("tests/train.py", TEST.format(scripts=scripts, arguments=arguments))
    return path


def grade(workload: Workload, folder: Path) -> float:
    """Grade the workload's submission and return the wall time in seconds.

    Raises:
        RuntimeError: it failed, or its test did.
    """
    autograder = make(workload, folder)
    command = [str(Path(sys.executable).parent / "otter"), "run", "-a", str(autograder), "-o", str(folder)]
    seconds = processes.timed([*command, str(workload.submission / "model.py")])
    results = json.loads((folder / "results.json").read_text())
    if not (folder / "losses.json").is_file():
        raise RuntimeError(f"the test of otter's assignment failed: {results['tests']}")
    return seconds
