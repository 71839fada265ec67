"""What has to be the same on two machines: the harness's source, Python, and what student code meets."""

from __future__ import annotations

import re
from importlib import metadata

from packaging.version import Version

from harness.host.edition import HARNESS, differences, edition


def test_edition_names_what_a_grade_depends_on() -> None:
    """Builds of one version for other devices count as the same."""
    found = edition()
    assert set(found) == {HARNESS, "Python", "torch", "numpy", "pandas"}
    assert re.fullmatch(r"[0-9a-f]{16}", found[HARNESS])
    assert found["torch"] == Version(metadata.version("torch")).public
    assert "+" not in found["torch"]


def test_what_differs_is_named() -> None:
    """With both versions; what the other machine does not say differs too."""
    assert differences(edition()) == ""
    assert differences({**edition(), "numpy": "1.0"}) == f"numpy is 1.0 there and {edition()['numpy']} here"
    assert differences({}).count(" not known there") == len(edition())
