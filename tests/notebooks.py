"""Notebooks for tests, made of the sources of their cells."""

from __future__ import annotations

import json
from typing import Any

MODEL = """\
from torch import nn


class MyModel(nn.Module):
    def __init__(self, features=4):
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)
"""
CONFIG = 'config = {"n_epochs": 3, "batch_size": 8, "learning_rate": 0.1, "optimizer": "SGD"}\n'


def code_cell(source: str, **fields: Any) -> dict[str, Any]:
    """A code cell as version 4 of the format has it."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
        **fields,
    }


def notebook(*cells: str | dict[str, Any], **fields: Any) -> bytes:
    """A notebook of version 4: a text is a code cell's source, a dictionary a cell as it is."""
    made = [code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    metadata = {"language_info": {"name": "python"}}
    whole = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5, **fields}
    return json.dumps(whole).encode()
