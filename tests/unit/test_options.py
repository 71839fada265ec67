"""What the command line takes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from harness.host.cli import app


@pytest.mark.parametrize("arguments", [("batch", "class"), ("poll", "class.csv"), ("regrade", "hw1-bikes")])
def test_a_class_is_not_graded_without_a_wall(arguments: tuple[str, ...]) -> None:
    """One submission could read the answers, and write the grades of all."""
    done = CliRunner().invoke(app, [*arguments, "--sandbox", "none"])
    assert done.exit_code == 2
    assert "'none' is not one of 'auto', 'docker', 'bubblewrap'" in done.output
