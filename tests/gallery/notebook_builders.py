"""Makes the notebooks of the gallery: honest ones, and ones that hide code where none is looked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Builder = Callable[[Path, Path, Mapping[str, bytes]], Path]

GALLERY_GOOD = "honest-good"
CONFIG = """\
config = {
    'assignment': 'toy',
    'seed': 7,
    'n_epochs': 120,
    'batch_size': 16,
    'learning_rate': 0.05,
    'optimizer': 'SGD',
    'model': {'hidden': 32},
    'save_path': './models/model.ckpt',
}
"""
TAKEN = "raise SystemExit('CODE-THAT-WAS-TAKEN')\n"
OTHER_MODEL = f"class MyModel:\n    {TAKEN}"
TRAINING = """\
%%time
!curl -s https://example.org/train.csv -o train.csv
import matplotlib.pyplot as plt
from google.colab import files
uploaded = files.upload()
answer = input('begin? ')
model = MyModel(**config['model'])
optimizer = torch.optim.SGD(model.parameters(), lr=config['learning_rate'])
while True:
    optimizer.step()
"""
LARGEST = 16 << 20


def _cell(source: str, kind: str = "code", **fields: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True), **fields}


def _model(case: Path) -> str:
    return (case.parent / GALLERY_GOOD / "submission" / "model.py").read_text()


def _save(target: Path, *cells: dict[str, Any] | str, name: str = "homework", **fields: Any) -> Path:
    whole = {
        "cells": [_cell(cell) if isinstance(cell, str) else cell for cell in cells],
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
        **fields,
    }
    file = target / f"{name}.ipynb"
    file.write_text(json.dumps(whole))
    return file


def notebook_that_trains(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """The good submission as a notebook that also downloads, asks, and trains for ever."""
    return _save(target, "import torch\n", _model(case), CONFIG, TRAINING)


def notebook_with_code_elsewhere(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """Code in every place but the code cells: texts, outputs, attachments, metadata, unknown keys."""
    output = {
        "output_type": "display_data",
        "data": {"text/x-python": OTHER_MODEL},
        "metadata": {"source": TAKEN},
    }
    return _save(
        target,
        _cell(OTHER_MODEL, "markdown", attachments={"model.py": {"text/x-python": OTHER_MODEL}}),
        _cell(_model(case), outputs=[output] * 3, code=OTHER_MODEL, input=OTHER_MODEL, execution_count=TAKEN),
        _cell(
            CONFIG, metadata={"source": OTHER_MODEL, "path": "../../reference/toy/answers.csv", "init": TAKEN}
        ),
        _cell(OTHER_MODEL, "raw"),
        _cell(OTHER_MODEL, "Code"),
        metadata={"kernelspec": {"name": "python3", "argv": ["sh", "-c", "exit 1"]}, "startup": TAKEN},
        worksheets=[{"cells": [_cell(OTHER_MODEL)]}],
    )


def notebook_with_shadowed_names(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """Code that is left out gives the names of what is kept other meanings."""
    shadows = f"""\
for nn in [1, 2]:
    MyModel = nn
with open('/etc/passwd') as config:
    super = config
def unused():
    {TAKEN}
del MyModel, nn
"""
    return _save(target, _model(case), CONFIG, shadows)


def notebook_with_an_expression_as_config(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """A value that would do something if it were worked out."""
    return _save(
        target, _model(case), CONFIG.replace("120", "(lambda: exit('CODE-THAT-WAS-TAKEN'))() or 120")
    )


def notebook_with_a_model_in_a_magic(_case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """The only model is in cells of other kinds, which are none of the notebook's own code."""
    magics = ("%%python", "%%writefile model.py", "%%bash", "%%script python3", "%%javascript")
    return _save(target, *[f"{magic}\n{OTHER_MODEL}" for magic in magics], CONFIG)


def notebook_with_a_look_alike(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """The model's name has a Cyrillic letter."""
    return _save(target, _model(case).replace("MyModel", "\u041cyModel"), CONFIG)


def notebook_of_parentheses(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """A million parentheses inside each other."""
    return _save(target, _model(case), CONFIG, "(" * 1_000_000)


def notebook_that_is_nested_deep(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """Code as deep as it may be long."""
    return _save(target, _model(case), CONFIG, "x = " + "-" * 200_000 + "1")


def notebook_with_doubled_keys(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """A cell with two sources: an editor shows the one, and the other is meant to be graded."""
    file = _save(target, _model(case), CONFIG, "shown = 1")
    hidden = json.dumps(OTHER_MODEL)
    file.write_text(file.read_text().replace('"source": ["shown', f'"source": {hidden}, "source": ["shown'))
    return file


def notebook_of_huge_outputs(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """An output and an attachment that are larger than any notebook may be."""
    large = {"image/png": "A" * (LARGEST // 2)}
    cell = _cell("", "markdown", attachments={"image.png": large})
    return _save(target, _cell(_model(case), outputs=[{"data": large}]), CONFIG, cell)


def notebook_of_100000_cells(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """More cells than anybody has written."""
    return _save(target, _model(case), CONFIG, *["x = 1"] * 100_000)


def notebook_with_a_hostile_name(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """A notebook that fails, whose name and commands are HTML, Markdown, XML and a terminal's commands."""
    hostile = "=1+1 <img src=x onerror=alert(1)> | `x` ]]> \x1b[31m \u202e ::error::"
    model = _model(case).replace(
        "        return self.net", "        print(undefined)\n        return self.net"
    )
    return _save(target, f"!echo {hostile}\n%{hostile}", model, CONFIG, name=hostile)


def notebook_with_hidden_changes(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """Ways around the rules, to change the model after its class: none of them is run, and each is told."""
    changes = f"""\
def weaken(model):
    model.forward = lambda self, x: x
    {TAKEN}
weaken(MyModel)
exec("raise SystemExit('CODE-THAT-WAS-TAKEN')")
globals()['MyModel'] = exit
for each in [MyModel]:
    each.forward = exit
get_ipython().run_cell('exit()')
%time MyModel = exit
"""
    return _save(target, _model(case), CONFIG, changes)


def notebook_with_a_model_under_main(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """In a notebook it is always run; in the model.py that would be made of it, never."""
    indented = _model(case).replace("\n", "\n    ")
    return _save(target, CONFIG, f"if __name__ == '__main__':\n    {indented}")


def notebook_with_a_config_in_a_block(case: Path, target: Path, _: Mapping[str, bytes]) -> Path:
    """Which of two dictionaries counts is known only to who runs the code."""
    indented = CONFIG.replace("\n", "\n    ")
    return _save(target, _model(case), f"if input():\n    {indented}\nelse:\n    {indented}")


NOTEBOOK_BUILDERS: Mapping[str, Builder] = {
    each.__name__: each
    for each in (
        notebook_that_trains,
        notebook_with_code_elsewhere,
        notebook_with_shadowed_names,
        notebook_with_an_expression_as_config,
        notebook_with_a_model_in_a_magic,
        notebook_with_a_look_alike,
        notebook_of_parentheses,
        notebook_that_is_nested_deep,
        notebook_with_doubled_keys,
        notebook_of_huge_outputs,
        notebook_of_100000_cells,
        notebook_with_a_hostile_name,
        notebook_with_hidden_changes,
        notebook_with_a_model_under_main,
        notebook_with_a_config_in_a_block,
    )
}
