"""What the README and the reference pages tell people to do works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.host.cli import app
from harness.protocol import Outcome

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "assignments").rglob("*.md"))


@pytest.mark.bubblewrap
def test_the_readmes_example_prints_what_it_shows() -> None:
    """``make grade`` on the example gives the score, tiers and points that the README prints."""
    done = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "grade",
            "SUBMISSION=examples/hw1-bikes/medium",
            "ARGS=--sandbox bubblewrap",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    shown = [
        line
        for line in README.splitlines()
        if re.match(r"Homework 1|  (public|private) test  |  \w+ +\d+\.\d\d  ", line)
    ]

    assert done.returncode == 0, done.stderr
    assert len(shown) >= 7
    assert [line for line in shown if line not in done.stdout.splitlines()] == []


def test_the_readme_shows_the_examples_own_files() -> None:
    """The code and the config in the README are those of the example."""
    example = ROOT / "examples/hw1-bikes/medium"

    assert (example / "model.py").read_text(encoding="utf-8") in README
    assert (example / "config.toml").read_text(encoding="utf-8") in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name files of the repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_that_is_named_exists() -> None:
    """``make x`` in any page is a target of the Makefile, or of a kit's."""
    makefiles = [ROOT / "Makefile", ROOT / "harness/host/release/templates/Makefile.tmpl"]
    makefile = "\n".join(path.read_text(encoding="utf-8") for path in makefiles)
    targets = {
        name for line in re.findall(r"^([a-z ]+):(?!=)", makefile, re.MULTILINE) for name in line.split()
    }
    named = {
        name for page in PAGES for name in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8"))
    }

    assert {"grade", "test", "doctor"} <= named <= targets


OF_THE_STORE = {"--store", "--artifacts"}  # of every command that reads or keeps results: said once
OF_A_GRADING = {"--sandbox", "--runtime", "--device", "--reference", "--jobs", "--cluster"}
COMMANDS = [
    f"{group}{command.callback.__name__.replace('_', '-')}"
    for group, commands in (
        ("", app.registered_commands),
        *(
            (f"{each.name} ", each.typer_instance.registered_commands)
            for each in app.registered_groups
            if each.typer_instance
        ),
    )
    for command in commands
    if command.callback
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_in_the_readme(command: str) -> None:
    """The README's synopsis and the command agree."""
    done = subprocess.run(
        [Path(sys.prefix, "bin", "harness"), *command.split(), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = done.stdout.partition("Options:")[2]
    options = set(re.findall(r"^ +(--[a-z-]+)", listed, re.MULTILINE)) - {"--help"}
    synopsis = re.search(rf"^harness {command} [A-Z\[-].*\n(?: +\[.*\n)*", README, re.MULTILINE)
    said = set(re.findall(r"--[a-z-]+", synopsis[0])) if synopsis else set()

    assert synopsis is not None or not options
    assert said <= options
    assert options - said <= OF_THE_STORE | OF_A_GRADING


def test_every_command_is_in_the_readme() -> None:
    """No command is hidden."""
    named = {name for name in COMMANDS if f"make {name}" in README or f"harness {name}" in README}

    assert set(COMMANDS) - named == {"runtime"}


def test_every_outcome_is_in_the_report_reference() -> None:
    """A reader of a report can look up its outcome."""
    page = (ROOT / "docs/reference/report.md").read_text(encoding="utf-8")

    assert [outcome for outcome in Outcome if f"`{outcome}`" not in page] == []
