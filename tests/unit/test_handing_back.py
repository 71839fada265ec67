"""Each student's feedback has a folder of its own, whatever the student is called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.handing_back import folder_name


@given(st.text(), st.text())
def test_a_folder_is_one_students_and_stays_where_it_is(one: str, other: str) -> None:
    """Names that differ have folders that differ, and none leads elsewhere or is hidden."""
    assert (folder_name(one) == folder_name(other)) == (one == other)
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9@+._-]{1,89}", folder_name(one))


@pytest.mark.parametrize("name", ["s001", "first.last@example.org", "team_1-b+c"])
def test_common_names_stay_as_they_are(name: str) -> None:
    """Whoever hands feedback out finds it under the name on the roster."""
    assert folder_name(name) == name


@pytest.mark.parametrize("name", ["..", ".", "", "../../etc", "a/b", "a\\b", "x" * 300, ".ssh", "a b"])
def test_names_that_are_no_folders_are_told_apart(name: str) -> None:
    """They are altered, with a digest behind them."""
    assert re.fullmatch(r"[A-Za-z0-9@+_][A-Za-z0-9@+._-]{0,79}-[0-9a-f]{8}|-[0-9a-f]{8}", folder_name(name))
