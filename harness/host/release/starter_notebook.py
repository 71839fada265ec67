"""The starter as a notebook: its config as a dictionary in one cell, its model in another.

The format is nbformat's version 4.5 (https://nbformat.readthedocs.io/en/latest/format_description.html).
"""

from __future__ import annotations

import json
import pprint
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.host.records import Submission

WIDTH = 100
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def starter_notebook(title: str, starter: Submission) -> bytes:
    """A notebook that says the same as the starter's two files.

    Args:
        title: of the assignment.
        starter: ``model.py`` and ``config.toml``.
    """
    config = pprint.pformat(starter.config, width=WIDTH, sort_dicts=False)
    cells = [
        _cell("title", "markdown", f"# {title}\n\n{ABOUT}"),
        _cell("config", "code", f"config = {config}"),
        _cell("model", "code", starter.files["model.py"].decode()),
        _cell("try", "markdown", TRY),
    ]
    notebook = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()


def _cell(name: str, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": name,
        "metadata": {},
        "source": source.rstrip("\n").splitlines(keepends=True),
    }
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}


ABOUT = """\
The next cell says how the model is trained, with the keys of `config.toml`; the one after it is the model.
The grader takes the two and runs its own loops; what you try in further cells changes nothing."""
TRY = "Save the notebook, then in a terminal: `make grade SUBMISSION=submission.ipynb`"
