"""The dictionary of a notebook in the place of config.toml."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.host.config import TrainConfig
from harness.host.errors import InvalidSubmissionError
from harness.host.notebook.reading import read_notebook
from harness.host.notebook.settings import KEYS, NOT_NEEDED, OF_OPTIMIZER, RENAMED
from tests.notebooks import MODEL, notebook

SGD = {"name": "SGD"}
COURSE = """\
device = 'cuda' if torch.cuda.is_available() else 'cpu'
config = {
    'seed': 5201314,      # Your seed number, you can pick your lucky number. :)
    'select_all': True,   # Whether to use all features.
    'valid_ratio': 0.2,   # validation_size = train_size * valid_ratio
    'n_epochs': 3000,     # Number of epochs.
    'batch_size': 256,
    'learning_rate': 1e-5,
    'early_stop': 400,    # If model has not improved for this many consecutive epochs, stop training.
    'save_path': './models/model.ckpt'  # Your model will be saved here.
}
"""
TRAINER = """\
import torch
def trainer(train_loader, valid_loader, model, config, device):
    optimizer = torch.optim.SGD(model.parameters(), lr=config['learning_rate'], momentum=0.9)
"""


def read(*cells: str) -> tuple[dict[str, Any], str]:
    """The config of a notebook with these cells, and what is told of it."""
    taken = read_notebook(notebook(MODEL, *cells), "hw1.ipynb", with_config=True)
    assert taken.config is not None
    return tomllib.loads(taken.config.decode()), "\n".join(taken.notes)


def config(*cells: str) -> dict[str, Any]:
    """The config alone."""
    return read(*cells)[0]


def refusal(*cells: str) -> InvalidSubmissionError:
    """The error that these cells are refused with."""
    with pytest.raises(InvalidSubmissionError) as caught:
        read(*cells)
    assert (caught.value.message + caught.value.hint).isprintable()
    assert caught.value.hint
    return caught.value


def test_the_courses_sample_is_taken_as_it_is() -> None:
    """Its keys are called otherwise here, and the optimizer is the one that its trainer makes."""
    found, told = read(TRAINER, COURSE)
    assert found == {
        "seed": 5201314,
        "epochs": 3000,
        "batch_size": 256,
        "valid_ratio": 0.2,
        "early_stop": 400,
        "optimizer": {"name": "SGD", "lr": 1e-5, "momentum": 0.9},
    }
    assert (
        "cell 3: config is read; n_epochs as epochs, learning_rate as optimizer.lr; "
        "without select_all, save_path; "
        "the optimizer is that of cell 2, line 3: SGD, lr = 1e-05, momentum = 0.9"
    ) in told


def test_the_sample_of_the_year_before_is_taken_too() -> None:
    """It names its optimizer, and that one's arguments in a table."""
    cell = """config = {'n_epochs': 3000, 'batch_size': 270, 'optimizer': 'SGD',
        'optim_hparas': {'lr': 0.001, 'momentum': 0.9}, 'early_stop': 200, 'save_path': 'models/model.pth'}"""
    trainer = (
        "optimizer = getattr(torch.optim, config['optimizer'])(model.parameters(), **config['optim_hparas'])"
    )
    assert config(cell, trainer)["optimizer"] == {"name": "SGD", "lr": 0.001, "momentum": 0.9}


def test_our_own_form_is_taken_as_it_is() -> None:
    """A dictionary may say what a config.toml says, in its words."""
    table = {
        "assignment": "hw1-bikes",
        "seed": 1,
        "epochs": 5,
        "batch_size": 8,
        "valid_ratio": 0.25,
        "early_stop": 2,
        "grad_clip": 1.5,
        "model": {"hidden": [8, 4], "act": "relu", "deep": {"a": [True, {"b": 1e-8}]}},
        "optimizer": {"name": "Adam", "lr": 1e-3, "betas": [0.9, 0.99]},
        "scheduler": {"name": "StepLR", "step_size": 2},
        "loss": {"name": "HuberLoss", "delta": 2.0},
    }
    assert config(f"config = {table!r}") == table
    keywords = ", ".join(f"{key}={value!r}" for key, value in table.items())
    assert config(f"config: dict = dict({keywords})") == table


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("10 ** -3 * 2", 0.002),
        ("-1", -1),
        ("+(7 // 2)", 3),
        ("1 / 4", 0.25),
        ("LR", 0.1),
        ("LR * 10", 1.0),
        ("SIZES['a']", None),
        ("(1, 2)", [1, 2]),
        ("'x' 'y'", "xy"),
    ],
)
def test_arithmetic_and_names_of_numbers_are_worked_out(value: str, found: Any) -> None:
    """Nothing is run for it: a name has the number that an earlier cell spells out, and nothing else."""
    cells = (
        "LR = 0.1\nSIZES = {'a': 1}",
        f"config = {{'epochs': 1, 'optimizer': 'SGD', 'model': {{'x': {value}}}}}",
    )
    if found is None:
        assert "SIZES is no number or text that the notebook spells out" in refusal(*cells).message
    else:
        assert config(*cells)["model"] == {"x": found}


@pytest.mark.parametrize(
    "value",
    [
        "__import__('os').system('touch /tmp/taken')",
        "open('x')",
        "len([1])",
        "f'{1}'",
        "[n for n in range(3)]",
        "lambda: 1",
        "{1, 2}",
        "{1: 2}",
        "{**x}",
        "b'x'",
        "1j",
        "...",
        "nn.ReLU",
        "1 if x else 2",
        "x := 1",
        "not 1",
        "True + 1",
        "'a' * 100",
        "2 ** 10_000_000",
        "10 ** 60 * 10 ** 60",
        "1 / 0",
        "(-1) ** 0.5",
        "2.0 ** 64 ** 2.0",
        "0x" + "f" * 1000,
        "'\\ud800'",
        "later",
        "taken",
    ],
)
def test_a_value_that_is_none_is_refused_and_never_run(value: str) -> None:
    """The error names the cell, the line and the key."""
    cells = ("for taken in range(3): pass", f"config = {{'epochs': 1,\n  'model': ({value})}}", "later = 1")
    assert refusal(*cells).message.startswith("hw1.ipynb, cell 3, line 2: model: ")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "hw1.ipynb has no config = {...}, and there is no config.toml"),
        ("def f():\n    config = {'epochs': 1}", "has no config = {...}"),
        ("config = load('x.yaml')", "cell 2, line 1: config is no dictionary that is spelled out"),
        ("config = {'epochs': 1}\nconfig = 3", "cell 2, line 2: config is no dictionary"),
        ("config = dict([('epochs', 1)])", "config is no dictionary"),
        ("config = {'epochs': 1, 2: 3}", "the keys of config are not all text in quotes"),
        ("config = {**other}", "the keys of config are not all text in quotes"),
        ("config = dict(**other)", "the keys of config are not all text in quotes"),
        ("config = {'epoch': 1}", "config: epoch is not a known key; the nearest known name is epochs"),
        (
            "config = {'hiden': 8, 'n_epoch': 1}",
            "n_epoch is not a known key; the nearest known name is n_epochs",
        ),
        ("config = {'\\x1b[31m': 8}", "config: '\\x1b[31m' is not a known key"),
        ("config = {'epochs': 1, 'n_epochs': 2}", "config says epochs twice, here as n_epochs"),
        ("config = {'lr': 1, 'learning_rate': 2}", "config says lr twice, here as learning_rate"),
        ("config = {'optimizer': {'name': 'SGD', 'lr': 1}, 'lr': 2}", "config says lr twice, here as lr"),
        ("if x:\n  config = {'epochs': 1}", "cell 2, line 1: config is made in a way that is not read"),
        ("print(config := {'epochs': 1})", "cell 2, line 1: config is made in a way that is not read"),
        ("config = {'lr': 1, 'optim_hparas': {'lr': 2}}", "config says lr twice, here as optim_hparas"),
    ],
)
def test_what_cannot_be_taken_is_told(cell: str, said: str) -> None:
    """With the place, and the nearest name where one is unknown."""
    assert said in refusal(cell or "x = 1").message


def test_the_last_dictionary_counts_with_what_is_changed_later() -> None:
    """As in the notebook, if all cells are run once; a change that is not read is told."""
    found, told = read(
        "config = {'epochs': 1, 'seed': 3}",
        "config = {'epochs': 2, 'optimizer': 'SGD', 'batch_size': 4}\nconfig['epochs'] = 5",
        "config['lr'] = LR = 0.1",
        "config['batch_size'] = 8\nfor key in ():\n    config[key] = 1",
    )
    assert found == {"epochs": 5, "batch_size": 8, "optimizer": SGD}
    assert "cell 4, line 1 changes config in a way that is not read" in told
    assert "cell 5, line 2 changes config in a way that is not read" in told


@pytest.mark.parametrize(
    "change",
    [
        "if epochs:\n    config = {'epochs': 9}",
        "for lr in (1, 2):\n    config = {'lr': lr}",
        "print(config := {'epochs': 9})",
        "config, other = {'epochs': 9}, 1",
        "config.update(epochs=9)",
        "config |= {'epochs': 9}",
        "del config['epochs']",
        "cfg = config; cfg['epochs'] = 9",
        "for each in [config]: each['epochs'] = 9",
        "def change(it): it['epochs'] = 9\nchange(config)",
        "def change(): config['epochs'] = 9\nchange()",
        "def change():\n    global config\n    config = {'epochs': 9}",
    ],
)
def test_a_change_of_the_dictionary_that_is_not_read_is_told(change: str) -> None:
    """Whatever changes it, by another name, in a block or when it is called: the notes name the place."""
    found, told = read("config = {'epochs': 1, 'optimizer': 'SGD'}", change)
    assert found["epochs"] == 1
    assert re.search(r"cell 3, line \d changes config (in a way|when it is called)", told)


def test_the_dictionary_may_have_a_second_name() -> None:
    """As in ``cfg = config = {...}``."""
    assert config("cfg = config = {'epochs': 2, 'optimizer': 'SGD'}")["epochs"] == 2


@pytest.mark.parametrize(
    "change", ["def f():\n    global n\n    n = 9\nf()", "del n", "print(n := 9)", "n += 1", "n = !ls"]
)
def test_a_name_that_may_have_another_value_by_then_is_no_number(change: str) -> None:
    """Its value is known after the last line that gives it one, and only if that spells it out."""
    cells = (f"n = 3\n{change}", "config = {'epochs': n, 'optimizer': 'SGD'}")
    assert "cell 3, line 1: epochs: n is no number" in refusal(*cells).message


@pytest.mark.parametrize(
    ("code", "optimizer"),
    [
        ("", {"name": "SGD", "lr": 0.5}),
        ("import torch\ntorch.optim.Adam(p, 0.1)", {"name": "Adam", "lr": 0.5}),
        (
            "from torch import optim\noptim.AdamW(p, weight_decay=DECAY)",
            {"name": "AdamW", "weight_decay": 0.01, "lr": 0.5},
        ),
        (
            "import torch.optim as o\no.SGD(p, **{'momentum': 0.9})",
            {"name": "SGD", "momentum": 0.9, "lr": 0.5},
        ),
        (
            "from torch.optim import Adam as A\nclass T:\n  def f(self, lr):\n    A(p, lr=lr)",
            {"name": "Adam", "lr": 0.5},
        ),
        ("import torch\ntorch.optim.SGD(p, lr=x)\ntorch.optim.SGD(q, lr=x)", {"name": "SGD", "lr": 0.5}),
        ("from mine import SGD\nSGD(p)", {"name": "SGD", "lr": 0.5}),
        ("import torch\ntorch.optim.lr_scheduler.StepLR(o, 3)", {"name": "SGD", "lr": 0.5}),
    ],
)
def test_where_no_key_names_an_optimizer_the_training_code_does(code: str, optimizer: dict[str, Any]) -> None:
    """What the student trained with is what is graded; the config's own values come first."""
    found, told = read(f"DECAY = 0.01\n{code}", "config = {'epochs': 1, 'learning_rate': 0.5}")
    assert found["optimizer"] == optimizer
    assert ("nothing names an optimizer: SGD, as in the course's notebooks" in told) == (
        "optimizer is that" not in told
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "optim.SGD(p)\noptim.Adam(p)",
            "cell 2, line 4: here an optimizer is made, Adam, and another one in cell 2, line 3",
        ),
        ("optim.SGD(p)\noptim.SGD(p, momentum=0.9)", "here an optimizer is made, SGD"),
        ("optim.SGD(p, momentum=mo())", "cell 2, line 3: momentum of SGD cannot be read: it is no number"),
        (
            "def f(DECAY):\n  optim.SGD(p, weight_decay=DECAY)",
            "weight_decay of SGD cannot be read: DECAY is no number",
        ),
        ("optim.SGD(p, 0.1, 0.9)", "* of SGD cannot be read: it has no name"),
    ],
)
def test_training_code_that_leaves_the_optimizer_open_is_refused(code: str, said: str) -> None:
    """Nothing is guessed: the config can name it."""
    cells = (f"from torch import optim\nDECAY = 0.1\n{code}", "config = {'epochs': 1, 'learning_rate': 0.5}")
    error = refusal(*cells)
    assert said in error.message
    assert '"optimizer": "' in error.hint
    assert config(cells[0], "config = {'epochs': 1, 'optimizer': 'Adam'}")["optimizer"] == {"name": "Adam"}


def test_none_is_the_same_as_nothing() -> None:
    """TOML has no None; notebooks say with it that something is off."""
    assert config("config = {'epochs': 1, 'grad_clip': None, 'scheduler': None, 'optimizer': None}") == {
        "epochs": 1,
        "optimizer": SGD,
    }


def test_names_that_grow_when_they_are_used_stay_small() -> None:
    """A value of values of values is no constant, so that a few lines cannot become gigabytes."""
    doubling = "\n".join(f"a{n + 1} = [a{n}, a{n}]" for n in range(60))
    assert (
        "a60 is no number or text"
        in refusal(f"a0 = [1]\n{doubling}\nconfig = {{'epochs': 1, 'model': {{'x': a60}}}}").message
    )
    long = "s = '" + "x" * 10_000 + "'"
    assert (
        "s is no number or text" in refusal(long, "config = {'epochs': 1, 'model': {'x': [s, s, s]}}").message
    )


def test_a_config_that_becomes_too_long_is_refused_as_a_file_is(tmp_path: Any) -> None:
    """The cap on config.toml is that of what is made of the dictionary too."""
    from harness.host.submission import load_submission  # noqa: PLC0415

    path = tmp_path / "hw1.ipynb"
    path.write_bytes(notebook(MODEL, "config = {'epochs': 1, 'model': {'x': [" + "1," * 10_000 + "]}}"))
    with pytest.raises(InvalidSubmissionError, match="more than the 16384 allowed"):
        load_submission(path, max_bytes=1 << 20)


def test_the_known_keys_are_those_of_a_config() -> None:
    """What a config.toml takes, a dictionary does too, and no key has two meanings."""
    assert set(KEYS) == set(TrainConfig.model_fields)
    assert set(RENAMED.values()) <= set(KEYS)
    groups = [set(KEYS), set(RENAMED), set(OF_OPTIMIZER), set(NOT_NEEDED)]
    assert sum(map(len, groups)) == len(set.union(*groups))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_as_toml_is_read_the_same(table: dict[str, Any]) -> None:
    """All keys and values, whatever characters they are of."""
    assert tomllib.loads(tomli_w.dumps(table)) == table
