"""The files of a student's own data set."""

from __future__ import annotations

import pytest

from harness.guest import data
from harness.guest.findings import Finding
from harness.protocol import Outcome


def test_data_set_that_no_file_names_is_told_what_to_write() -> None:
    """The host sends the CSV to those that name the class; a name that is put together is not seen."""
    with pytest.raises(Finding) as caught:
        data.write_csv("train.csv", None)

    assert caught.value.outcome is Outcome.CONTRACT_ERROR
    assert "class MyDataset(Dataset):" in caught.value.hint
