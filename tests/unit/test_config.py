"""Checking ``config.toml`` against the schema, torch's names and the assignment."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.host.assignment import Assignment
from harness.host.config import Component, TrainConfig, parse_config
from harness.host.errors import InvalidSubmissionError

SOUND = 'epochs = 5\n[optimizer]\nname = "SGD"\nlr = 0.1\n'
ASSIGNMENT = Assignment.model_validate(
    {
        "id": "toy",
        "title": "A toy",
        "task": "regression",
        "data": {"target": "count"},
        "metric": {"name": "rmse", "direction": "min"},
        "loss": {"name": "MSELoss"},
        "points": {"contract": 1.0, "finished": 1.0, "finite": 1.0, "runtime": 1.0},
        "ranges": {
            "epochs": (1, 1000),
            "batch_size": (1, 4096),
            "optimizer.lr": (1e-6, 10),
            "model.hidden": (1, 512),
        },
        "folder": Path("assignments/toy"),
    }
)


def parse(text: str) -> TrainConfig:
    """Check the TOML in `text`."""
    return parse_config(tomllib.loads(text), ASSIGNMENT)


def refusal(text: str) -> str:
    """The message that `text` is refused with."""
    with pytest.raises(InvalidSubmissionError) as caught:
        parse(text)
    assert caught.value.file == "config.toml"
    assert caught.value.hint
    return caught.value.message


def test_the_contract_s_example_is_accepted() -> None:
    """The config that the contract shows is read as it is meant."""
    config = parse(
        """
        assignment = "toy"
        seed = 5201314
        epochs = 60
        batch_size = 16
        valid_ratio = 0.2
        early_stop = 10
        grad_clip = 1.0
        [model]
        hidden = 64
        [optimizer]
        name = "SGD"
        lr = 0.1
        [scheduler]
        name = "CosineAnnealingLR"
        T_max = 60
        [loss]
        name = "MSELoss"
        """
    )
    assert config.model == {"hidden": 64}
    assert config.optimizer == Component(name="SGD", arguments={"lr": 0.1})
    assert config.scheduler == Component(name="CosineAnnealingLR", arguments={"T_max": 60})
    assert (config.seed, config.epochs, config.batch_size, config.grad_clip) == (5201314, 60, 16, 1.0)


def test_what_may_be_left_out_has_defaults() -> None:
    """Epochs and an optimizer are enough; the loss is the assignment's."""
    config = parse('epochs = 1\n[optimizer]\nname = "Adam"\n')
    assert config.loss == Component(name="MSELoss")
    assert config.optimizer.arguments == {}
    assert (config.early_stop, config.grad_clip, config.scheduler) == (0, None, None)


def test_a_whole_number_will_do_for_a_fraction() -> None:
    """`grad_clip = 1` and `lr = 1` are no type errors."""
    config = parse(SOUND.replace("0.1", "1").replace("epochs", "grad_clip = 1\nepochs"))
    assert config.grad_clip == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["epochs is missing", "optimizer is missing"]),
        (SOUND.replace("5", "1_000_000_000"), ["epochs is 1000000000, must be between 1 and 1000"]),
        (SOUND.replace("5", "-1"), ["epochs is -1, must be at least 1"]),
        (SOUND.replace("5", "true"), ["epochs is true (a boolean), must be an integer"]),
        (SOUND.replace("5", "5.0"), ["epochs is 5.0 (a number), must be an integer"]),
        (SOUND.replace("5", '"5"'), ["epochs is '5' (text), must be an integer"]),
        (SOUND.replace("5", "0x" + "f" * 5000), ["epochs is an integer of 20000 bits"]),
        (SOUND.replace("0.1", "nan"), ["lr is nan, must be a finite number"]),
        (SOUND.replace("0.1", "inf"), ["lr is inf, must be a finite number"]),
        (SOUND.replace("0.1", "-0.1"), ["optimizer.lr is -0.1 (a number), must be a number of at least 0"]),
        (SOUND.replace("0.1", "11"), ["optimizer.lr is 11, must be between 1e-06 and 10"]),
        (SOUND.replace("0.1", "true"), ["optimizer.lr is true (a boolean)"]),
        (SOUND.replace("0.1", '"0.1"'), ["optimizer.lr is '0.1' (text)"]),
        (SOUND.replace("lr", "learning_rate"), ["learning_rate is not an argument of SGD", "use lr"]),
        (
            SOUND.replace("lr", "momentun"),
            ["momentun is not an argument of SGD", "nearest known name is momentum"],
        ),
        (SOUND.replace("SGD", "sgd"), ["optimizer.name is 'sgd'", "nearest known name is SGD"]),
        (SOUND.replace("SGD", "LBFGS"), ["several times a step"]),
        (
            SOUND.replace("SGD", "__class__"),
            ["'__class__', which is no class of torch.optim", "known are ASGD"],
        ),
        (SOUND.replace('"SGD"', "'__import__(\"os\")'"), ["which is no class of torch.optim"]),
        (SOUND.replace('"SGD"', "1"), ["optimizer.name is 1 (an integer), must be text in quotes"]),
        (SOUND.replace('name = "SGD"\n', ""), ["optimizer.name is missing"]),
        ('epochs = 5\noptimizer = "SGD"', ["optimizer is 'SGD' (text), must be a table"]),
        (SOUND + "foreach = 1", ["optimizer.foreach is 1 (an integer), must be true or false"]),
        (
            SOUND.replace("SGD", "Adam") + "betas = 0.9",
            ["optimizer.betas is 0.9 (a number), must be an array of numbers"],
        ),
        ("epocs = 3\n" + SOUND, ["epocs is not a known key", "nearest known name is epochs"]),
        ("batch_size = 0\n" + SOUND, ["batch_size is 0, must be at least 1"]),
        ("valid_ratio = 1\n" + SOUND, ["valid_ratio is 1, must be under 1"]),
        ("valid_ratio = nan\n" + SOUND, ["valid_ratio is nan"]),
        ("seed = 4294967296\n" + SOUND, ["seed is 4294967296, must be at most 4294967295"]),
        ("grad_clip = 0\n" + SOUND, ["grad_clip is 0, must be over 0"]),
        ('assignment = "other"\n' + SOUND, ["assignment is 'other', but what is graded is toy"]),
        (SOUND + '[scheduler]\nname = "StepLR"', ["scheduler.step_size is missing; StepLR needs it"]),
        (SOUND + '[scheduler]\nname = "LambdaLR"', ["it needs a function"]),
        (SOUND + '[loss]\nname = "CrossEntropyLoss"', ["is no class of torch.nn for regression"]),
        (
            SOUND + '[loss]\nname = "MSELoss"\nreduction = "sum"',
            ["loss.reduction is not an argument of MSELoss"],
        ),
        (SOUND + "[model]\nhidden = [8, 1000]", ["model.hidden is 1000, must be between 1 and 512"]),
        (SOUND + "[model]\nx = 0x" + "f" * 100, ["model: x is an integer of 400 bits"]),
        (SOUND + "[model]\nx = 2030-01-01", ["model: x is 2030-01-01, must be a number, text"]),
        (SOUND + "[model]\nx = [1, [2, [3, [4, [5]]]]]", ["nested deeper than 4 levels"]),
        (SOUND + "[model]\nx = [" + "1," * 1001 + "]", ["more than 1000 values"]),
        (SOUND + '[model]\n"a b" = 1', ["'a b' cannot be the name of an argument"]),
        (SOUND + "[model]\nclass = 1", ["'class' cannot be the name of an argument"]),
    ],
)
def test_a_wrong_config_is_refused_with_the_reason(text: str, said: list[str]) -> None:
    """The message names the key, what was found, what is allowed and the nearest known name."""
    message = refusal(text)
    assert [part for part in said if part not in message] == []


def test_one_value_is_told_of_once() -> None:
    """A number that the schema refuses is not refused a second time by its range."""
    assert refusal(SOUND.replace("5", "-1")).count("epochs") == 1


def test_all_problems_are_named_at_once() -> None:
    """A student need not mend one after the other; past eight they are counted."""
    message = refusal("seed = -1\nbatch_size = 0\n[optimizer]\nname = 'SDG'\nlr = 100\n")
    assert all(
        part in message for part in ("seed is -1", "batch_size is 0", "epochs is missing", "SGD", "lr is 100")
    )
    many = "\n".join(f"unknown{number} = 1" for number in range(20))
    assert refusal(many + "\n" + SOUND).endswith("and 12 more")


def test_what_a_student_wrote_is_shown_short_and_escaped() -> None:
    """Control characters cannot reach a terminal through a message, and long text is cut."""
    message = refusal(
        '"\\u001b[31m\\u202e" = 1\nepochs = "' + "x" * 5000 + '"\n[optimizer]\nname = "\\u001b[0m"\n'
    )
    assert message.isprintable()
    assert len(message) < 1000


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
KEYS = st.sampled_from(sorted(TrainConfig.model_fields)) | st.text(max_size=6)
TABLES = st.dictionaries(
    st.sampled_from(["name", "lr", "betas", "T_max", "weight_decay"]) | st.text(max_size=4), VALUES
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(KEYS, VALUES | TABLES))
def test_any_table_is_either_accepted_or_refused(table: dict[str, Any]) -> None:
    """No input breaks the check itself, a message is one printable line, what passes is plain JSON."""
    message = ""
    try:
        config = parse_config(table, ASSIGNMENT)
    except InvalidSubmissionError as error:
        message = error.message
    else:
        json.dumps(config.model_dump(), allow_nan=False)
    assert message.isprintable()


def test_epochs_are_capped_where_the_assignment_has_no_range() -> None:
    """Each epoch is reported to the host, which keeps them all, so there is always a cap."""
    unbounded = ASSIGNMENT.model_copy(update={"ranges": {}})
    with pytest.raises(InvalidSubmissionError, match="must be between 1 and 100000"):
        parse_config(tomllib.loads(SOUND.replace("5", "100_001")), unbounded)
