"""What a preflight sees of a model, without a sandbox: each usual mistake, and nothing in a sound model."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.guest import build, data, loops, pace, rates, tracing, wiring
from harness.guest.child import seed_everything
from harness.guest.findings import Finding
from harness.guest.fitting import Bench, Scale, Trial
from harness.guest.observations import Observations
from harness.guest.preflight import Subject, examine
from harness.guest.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Forward = Callable[[Any, Tensor], Tensor]

ROWS, VALID_ROWS, FEATURES, CLASSES, BATCH = 160, 32, 6, 3, 16
SEED = 5
ADAM = {"name": "Adam", "lr": 0.01}


class Small(nn.Module):
    """A perceptron whose pieces a test can call as it likes."""

    def __init__(self, forward: Forward, outputs: int, **more: nn.Module) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, 24)
        self.output = nn.Linear(24, outputs)
        for name, module in more.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        """What the test says."""
        return self._forward(self, x)


def scores(model: Small, x: Tensor) -> Tensor:
    """One score for each class."""
    result: Tensor = model.output(model.hidden(x).relu())
    return result


def number(model: Small, x: Tensor) -> Tensor:
    """One number for each row."""
    return scores(model, x).squeeze(1)


def rows(*, classes: bool) -> tuple[Tensor, Tensor]:
    """Inputs and targets that can be learnt."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS + VALID_ROWS, FEATURES, generator=generator)
    y = 2 * x[:, 0] - x[:, 1] * x[:, 2]
    return x, torch.bucketize(y, torch.tensor([-1.0, 1.0])) if classes else y


def batches(table: tuple[Tensor, Tensor], batch_size: int, *, shuffle: bool) -> Any:
    """The harness's own data set."""
    return data.TensorBatches(table, batch_size, shuffle=shuffle)


def subject(  # noqa: PLR0913  what tests change, one or two at a time
    forward: Forward = scores,
    *,
    classes: bool = True,
    optimizer: dict[str, Any] | None = None,
    scheduler: dict[str, Any] | None = None,
    loss: str | None = None,
    epochs: int = 20,
    seconds: float = 6.0,
    change: Callable[[Small], None] = lambda _: None,
    unlabelled: Callable[[], Iterable[Tensor]] | None = None,
    more: dict[str, nn.Module] | None = None,
    table: tuple[Tensor, Tensor] | None = None,
    batch_size: int = BATCH,
) -> Subject:
    """A submission that is ready to be trained."""
    seed_everything(SEED)
    torch.set_num_threads(1)
    model = Small(forward, CLASSES if classes else 1, **(more or {}))
    change(model)
    task = task_of(*(("classification", CLASSES) if classes else ("regression", 1)))
    x, y = table or rows(classes=classes)
    optimizer_table = optimizer or ADAM
    made = build.build_optimizer(optimizer_table, model)
    training = loops.Training(
        model=model,
        tr_set=batches((x[:ROWS], y[:ROWS]), batch_size, shuffle=True),
        dv_set=batches((x[ROWS:], y[ROWS:]), batch_size, shuffle=False),
        criterion=task.criterion({"name": loss or ("CrossEntropyLoss" if classes else "MSELoss")}),
        optimizer=made,
        scheduler=build.build_scheduler(scheduler, made),
        task=task,
        device="cpu",
        epochs=epochs,
        early_stop=0,
        grad_clip=None,
        on_epoch=lambda *_: None,
    )
    return Subject(
        training=training,
        optimizer=optimizer_table,
        scheduler=scheduler,
        rows=(ROWS, VALID_ROWS),
        batch_size=batch_size,
        predicted=((VALID_ROWS, batch_size), (VALID_ROWS, batch_size // 2 + 1)),
        unlabelled=unlabelled,
        seed=lambda: seed_everything(SEED),
        seconds=seconds,
        started=time.monotonic(),
    )


def seen_of(looked_at: Subject) -> dict[str, Any]:
    """What the host would get of it."""
    seen = Observations()
    examine(looked_at, seen)
    whole: dict[str, Any] = json.loads(seen.payload())
    return whole


def found(looked_at: Subject) -> dict[str, dict[str, Any]]:
    """The findings by their codes."""
    return {each["code"]: each for each in seen_of(looked_at)["findings"]}


@pytest.mark.parametrize("classes", [True, False], ids=["classes", "numbers"])
def test_a_sound_model_has_no_finding(classes: bool) -> None:  # noqa: FBT001  a parameter of the test
    """Everything was looked at and measured, and the model has its first weights as before."""
    looked_at = subject(scores if classes else number, classes=classes)
    before = {name: value.clone() for name, value in looked_at.training.model.state_dict().items()}
    seen = seen_of(looked_at)
    measured = seen["measured"]

    assert (seen["findings"], seen["skipped"]) == ([], [])
    assert measured["epoch_seconds"] > measured["row_seconds"] > 0
    assert measured["weights_bytes"] > 4 * (24 * 7 + 25 * 3)
    assert before.keys() == looked_at.training.model.state_dict().keys()


def test_a_regularised_model_has_no_finding() -> None:
    """Dropout and batch norm as modules, a warm-up and weight decay are all sound."""

    def forward(model: Any, x: Tensor) -> Tensor:
        result: Tensor = model.output(model.drop(model.norm(model.hidden(x)).relu()))
        return result

    looked_at = subject(
        forward,
        more={"norm": nn.BatchNorm1d(24), "drop": nn.Dropout(0.5)},
        optimizer={"name": "AdamW", "lr": 0.02, "weight_decay": 0.1},
        scheduler={"name": "OneCycleLR", "max_lr": 0.02, "total_steps": 25},
    )
    assert found(looked_at) == {}


def test_the_same_submission_is_seen_alike_twice() -> None:
    """With time enough, what is found and its numbers follow from the seed."""
    first, second = (
        found(subject(optimizer={"name": "SGD", "lr": 1e-6}))["learning_rate_low"] for _ in range(2)
    )
    assert first == second


SQUASHED: list[tuple[str, Forward, str | None]] = [
    ("softmax_before_loss", lambda model, x: scores(model, x).softmax(1), None),
    ("log_softmax_before_loss", lambda model, x: scores(model, x).log_softmax(1), None),
    ("sigmoid_before_loss", lambda model, x: scores(model, x).sigmoid(), None),
    ("nll_without_log_softmax", scores, "NLLLoss"),
    ("nll_without_log_softmax", lambda model, x: scores(model, x).softmax(1), "NLLLoss"),
]


@pytest.mark.parametrize(("code", "forward", "loss"), SQUASHED)
def test_scores_that_do_not_go_with_the_loss_are_seen(code: str, forward: Forward, loss: str | None) -> None:
    """By what comes out for real and for random inputs; nothing else is concluded from such a training."""
    assert list(found(subject(forward, loss=loss))) == [code]


@pytest.mark.parametrize(
    ("forward", "loss"),
    [
        (lambda model, x: scores(model, x).log_softmax(1), "NLLLoss"),
        (lambda model, x: scores(model, x).relu() + 0.1, None),
        (lambda model, x: scores(model, x.sigmoid()), None),
    ],
    ids=["log_softmax for NLLLoss", "never negative", "a sigmoid on the way"],
)
def test_other_scores_are_left_alone(forward: Forward, loss: str | None) -> None:
    """Scores that only look a little like shares are no finding."""
    assert not {code for code, *_ in SQUASHED} & found(subject(forward, loss=loss)).keys()


def hide(model: Any) -> None:
    """Keep layers where PyTorch does not look."""
    model.listed = [nn.Linear(2, 2), (nn.Linear(2, 2),)]
    model.named = {"one": [nn.Linear(2, 2)]}
    model.scale = torch.ones(1, requires_grad=True)


def test_layers_in_lists_and_dictionaries_are_seen() -> None:
    """Each of their tensors has its path; what is registered as well, or has nothing to learn, has none."""
    model: Any = Small(scores, 3)
    hide(model)
    model.again = [model.hidden]
    model.activations = [nn.ReLU()]
    model.constant = [torch.ones(3)]

    assert wiring.unregistered(model) == [
        *("listed[0].weight", "listed[0].bias", "listed[1][0].weight", "listed[1][0].bias"),
        *("named['one'][0].weight", "named['one'][0].bias", "scale"),
    ]
    assert found(subject(change=hide))["unregistered_parameters"]["numbers"] == {"count": 7}


def test_a_list_without_end_is_not_followed() -> None:
    """A list that holds itself, and one with a million numbers, end the search and no more."""
    model: Any = Small(scores, 3)
    endless: list[Any] = []
    endless.append(endless)
    model.endless = endless
    model.long = list(range(1_000_000))

    assert wiring.unregistered(model) == []


def freeze(model: Any) -> None:
    """Take a layer out of the training."""
    model.hidden.requires_grad_(requires_grad=False)


def detached(model: Any, x: Tensor) -> Tensor:
    """Cut the gradient off below the last layer."""
    result: Tensor = model.output(model.hidden(x).relu().detach())
    return result


def test_parameters_that_do_not_learn_are_told_apart() -> None:
    """Frozen, cut off and unused are three findings, with the names."""
    frozen = found(subject(change=freeze))["frozen_parameters"]
    cut = found(subject(detached))
    unused = found(subject(more={"spare": nn.Linear(2, 2)}))

    assert frozen["names"] == ["hidden.weight", "hidden.bias"]
    assert frozen["numbers"] == {"count": 2, "numbers": 168, "of": 243}
    assert {code: each["names"] for code, each in cut.items()} == {
        "no_gradient": ["hidden.weight", "hidden.bias"]
    }
    assert {code: each["names"] for code, each in unused.items()} == {
        "not_used": ["spare.weight", "spare.bias"]
    }


def test_a_layer_that_is_left_out_of_some_batches_is_used() -> None:
    """Stochastic depth drops whole layers by chance, in the first batches too."""
    calls = []

    def forward(model: Any, x: Tensor) -> Tensor:
        calls.append(model.training)
        is_early = len(calls) <= 2
        return scores(model, x if is_early else x + model.more(x).relu())

    assert found(subject(forward, more={"more": nn.Linear(FEATURES, FEATURES)})) == {}


def test_an_output_without_a_gradient_ends_the_look() -> None:
    """There is nothing to train then, and what was left out is told."""
    seen = seen_of(subject(lambda model, x: scores(model, x).detach()))

    assert [each["code"] for each in seen["findings"]] == ["detached_output"]
    assert {"code": "overfit", "why": "findings"} in seen["skipped"]


def test_a_wrong_shape_is_the_contracts_affair() -> None:
    """The finding that a training would end with, before anything else is looked at."""
    with pytest.raises(Finding, match=r"shape \(16, 1\) where \(16,\) is needed"):
        examine(subject(scores, classes=False), Observations())


def test_a_column_of_targets_names_the_broadcast() -> None:
    """Predictions (N,) against a student's targets (N, 1) are refused, and the targets are what to change."""
    x, y = rows(classes=False)
    with pytest.raises(Finding) as caught:
        examine(subject(number, classes=False, table=(x, y[:, None])), Observations())

    assert "broadcast" in caught.value.hint
    assert "MyDataset" in caught.value.hint


BROKEN: list[tuple[str, Forward]] = [
    ("log", lambda model, x: number(model, x.log())),
    ("sqrt", lambda model, x: number(model, x.sqrt())),
    ("rdiv", lambda model, x: number(model, 1 / x.relu())),
    ("div", lambda model, x: number(model, x / x[:, :1].relu())),
]


@pytest.mark.parametrize(("name", "forward"), BROKEN, ids=[name for name, _ in BROKEN])
def test_the_operation_that_makes_a_nan_is_named(name: str, forward: Forward) -> None:
    """In the first batch, with what it was given."""
    seen = found(subject(forward, classes=False))["nan_in_forward"]

    assert seen["text"] == name
    assert seen["numbers"]["batch"] == 1
    assert seen["numbers"]["zeros"] + seen["numbers"]["negatives"] > 0


def test_rows_that_break_are_found_wherever_they_are() -> None:
    """A single row of the validation with a number of which there is no logarithm."""
    x, y = rows(classes=False)
    x = x.abs() + 0.1
    x[ROWS + 20, 2] = -1.0
    seen = found(subject(lambda model, x: number(model, x.log()), classes=False, table=(x, y)))

    assert seen["nan_in_forward"]["numbers"] == {
        "zeros": 0,
        "negatives": 1,
        "rows": 1,
        "of": 16,
        "count": 0,
        "batch": 12,
    }


def test_a_mask_of_infinities_is_not_blamed() -> None:
    """Where a network masks by infinity, the operation that breaks is another one."""

    def forward(model: Any, x: Tensor) -> Tensor:
        hidden = model.hidden(x)
        weights = hidden.masked_fill(hidden < 0, -math.inf).softmax(1)
        result: Tensor = number(model, x) + weights.sum(1).log() + x[:, 0].log()
        return result

    assert found(subject(forward, classes=False))["nan_in_forward"]["text"] == "log"


def test_a_derivative_that_is_not_finite_is_told_with_its_parameters() -> None:
    """The output is finite; the gradient of a root of 0 is not."""

    def zero(model: Any) -> None:
        nn.init.zeros_(model.hidden.weight)
        nn.init.zeros_(model.hidden.bias)

    def forward(model: Any, x: Tensor) -> Tensor:
        result: Tensor = model.output((model.hidden(x) ** 2).sqrt()).squeeze(1)
        return result

    seen = found(subject(forward, classes=False, change=zero))["nan_in_backward"]
    assert seen["names"] == ["hidden.weight", "hidden.bias"]
    assert seen["text"] == "pow"


def test_data_that_are_not_finite_are_not_the_models_fault() -> None:
    """They are found before the model sees them, in inputs and in targets."""
    x, y = rows(classes=False)
    for table in ((x.masked_fill(x > 2, math.nan), y), (x, y.masked_fill(y > 2, math.inf))):
        assert list(found(subject(number, classes=False, table=table))) == ["nan_in_data"]


UNSTEADY: list[tuple[str, str, Forward]] = [
    ("random_in_eval", "dropout", lambda model, x: scores(model, functional.dropout(x, 0.5))),
    ("batch_dependent_in_eval", "mean", lambda model, x: scores(model, x - x.mean(0))),
    ("batch_dependent_in_eval", "cumsum", lambda model, x: scores(model, x.cumsum(0) / 10)),
    (
        "batch_dependent_in_eval",
        "batch_norm",
        lambda model, x: scores(model, functional.batch_norm(x, None, None, training=True)),
    ),
]


@pytest.mark.parametrize(("code", "operation", "forward"), UNSTEADY)
def test_predictions_that_are_not_a_rows_own_are_seen(code: str, operation: str, forward: Forward) -> None:
    """With the operation at which two passes part."""
    assert found(subject(forward))[code]["text"] == operation


def test_batch_norm_that_never_takes_its_statistics_over_is_seen() -> None:
    """With momentum 0, or with no statistics at all, in a model that is otherwise sound."""

    def forward(model: Any, x: Tensor) -> Tensor:
        result: Tensor = model.output(model.norm(model.hidden(x)).relu())
        return result

    still = found(subject(forward, more={"norm": nn.BatchNorm1d(24, momentum=0.0)}))
    none = found(subject(forward, more={"norm": nn.BatchNorm1d(24, track_running_stats=False)}))

    assert still["statistics_not_updated"]["names"] == ["norm"]
    assert none["batch_dependent_in_eval"]["text"] == "batch_norm"


def test_what_is_learnt_in_one_mode_alone_is_seen() -> None:
    """A forward pass that does something else in evaluation mode."""

    def forward(model: Any, x: Tensor) -> Tensor:
        return scores(model, x if model.training else -5 * x)

    assert list(found(subject(forward))) == ["train_eval_mismatch"]


@pytest.mark.parametrize(
    ("rate", "code"), [(30.0, "learning_rate_high"), (1e-5, "learning_rate_low"), (0.0, "learning_rate_low")]
)
@pytest.mark.parametrize("classes", [True, False], ids=["classes", "numbers"])
def test_a_rate_that_is_far_off_comes_with_one_that_is_not(rate: float, code: str, classes: bool) -> None:  # noqa: FBT001  a parameter of the test
    """The better one is between the two, and its loss is lower."""
    looked_at = subject(scores if classes else number, classes=classes, optimizer={"name": "SGD", "lr": rate})
    numbers = found(looked_at)[code]["numbers"]

    assert 1e-3 <= numbers["better"] <= 1.0
    assert numbers["rate"] == rate
    assert numbers["better_loss"] < numbers["start"]


def test_a_slow_rate_that_gets_there_in_time_is_no_finding() -> None:
    """What counts is how far the whole training goes, and not 200 steps."""
    slow = {"name": "SGD", "lr": 1e-4}

    assert found(subject(number, classes=False, optimizer=slow, epochs=2000)) == {}
    assert "learning_rate_low" in found(subject(number, classes=False, optimizer=slow, epochs=5))


def test_settings_that_keep_an_optimizer_from_learning_are_told_from_its_rate() -> None:
    """Where plain Adam learns and the config's optimizer does at no rate."""
    backwards = {"name": "Adam", "lr": 0.01, "maximize": True}

    assert list(found(subject(number, classes=False, optimizer=backwards))) == ["optimizer_stuck"]


def test_a_model_that_cannot_learn_is_told_from_settings_that_do_not_let_it() -> None:
    """A squeezed output cannot learn a few rows by heart; a dead one gives all rows the same answer."""
    squeezed = found(subject(lambda model, x: scores(model, x).tanh() / 100))
    dead = found(subject(lambda model, x: (number(model, x) - 100).relu(), classes=False))

    assert list(squeezed) == ["cannot_overfit"]
    assert list(dead) == ["constant_outputs"]


def test_inputs_that_are_out_of_all_scale_are_seen() -> None:
    """The same rows can be learnt once they are scaled."""
    x, y = rows(classes=True)
    table = (x * 0.1 + 1e3, y)

    assert list(found(subject(table=table))) == ["inputs_not_scaled"]


def test_a_last_batch_of_one_row_is_tried() -> None:
    """Batch norm cannot train on it, and a squeeze of all dimensions takes the batch away."""

    def normed(model: Any, x: Tensor) -> Tensor:
        return scores(model, model.norm(x))

    norm = found(subject(normed, more={"norm": nn.BatchNorm1d(FEATURES)}, batch_size=53))
    squeeze = found(subject(lambda model, x: scores(model, x).squeeze(), classes=False, batch_size=53))

    assert "Expected more than 1 value per channel" in norm["last_batch"]["text"]
    assert "returned the shape () where (1,) is needed" in squeeze["last_batch"]["text"]


def test_a_scheduler_that_ends_too_soon_is_seen() -> None:
    """It is stepped through all epochs, without a training."""
    seen = found(subject(scheduler={"name": "OneCycleLR", "max_lr": 0.01, "total_steps": 4}))

    assert seen["scheduler_ends"]["numbers"]["epoch"] == 5
    assert "total steps is 4" in seen["scheduler_ends"]["text"]


def test_a_data_set_that_needs_targets_is_seen() -> None:
    """It is given a file without them, as in the prediction."""

    def unlabelled() -> Iterable[Tensor]:
        raise KeyError("target")

    assert "KeyError" in found(subject(unlabelled=unlabelled))["data_set_without_targets"]["text"]


def test_a_model_that_is_slow_is_looked_at_as_far_as_time_goes() -> None:
    """What was left out is told, and the epoch is extrapolated from the batches that were timed."""

    def forward(model: Any, x: Tensor) -> Tensor:
        time.sleep(0.03)
        return scores(model, x)

    began = time.monotonic()
    seen = seen_of(subject(forward, seconds=0.5))

    assert time.monotonic() - began < 5
    assert {"code": "learning_rate", "why": "time"} in seen["skipped"]
    assert seen["measured"]["epochs_timed"] < 1
    assert 0.36 < seen["measured"]["epoch_seconds"] < 1.5  # twelve batches


def test_an_exception_of_the_students_is_passed_on_with_what_was_seen_before() -> None:
    """The child makes an outcome of it, and hands the findings over."""

    def forward(model: Any, x: Tensor) -> Tensor:
        if not model.training:
            raise ValueError("no such mode")
        return scores(model, x)

    seen = Observations()
    with pytest.raises(ValueError, match="no such mode"):
        examine(subject(forward, change=freeze), seen)
    assert seen.any_of(frozenset({"frozen_parameters"}))


def trial(*losses: float, after: float | None = None) -> Trial:
    """A trial with these losses."""
    return Trial(losses, losses[-1] if after is None else after)


SCALE = Scale(start=2.0, constant=1.0, right=0.0)
STEPS = 100


def verdict(own: Trial, others: dict[float, Trial], *, whole: int = STEPS) -> rates.Verdict:
    """What is said of a rate of 1, given what came of others."""
    schedule = rates.Schedule(1.0, 1.0)
    return rates.judge(lambda rate: others.get(round(rate, 9)), own, SCALE, schedule, whole)


def test_an_explosion_needs_a_calmer_rate_to_be_the_rates_fault() -> None:
    """Without one nothing is said of the rate, and with several the best one is named."""
    exploded = trial(2.0, 500.0, 3.0)
    better, best = trial(*[2.0] * 99, 0.8), trial(*[2.0] * 99, 0.3, after=0.3)
    named = verdict(exploded, {0.1: better, 0.01: best}).rate

    assert named is not None
    assert (named.direction, named.better) == ("high", 0.01)
    assert verdict(exploded, {0.1: exploded}).is_stuck
    assert verdict(trial(2.0, 20.0, 0.1), {0.1: trial(2.0, 0.5)}) == rates.Verdict()


def test_a_rate_is_low_only_if_the_whole_training_would_not_get_there() -> None:
    """A training a hundred times as long as the trial goes as far as a rate a hundred times as high."""
    idle, learnt = trial(*[2.0] * STEPS), trial(*[2.0] * 99, 0.2, after=0.2)
    higher = {10.0: idle, 100.0: learnt, 1000.0: learnt, 1e4: learnt}
    short = verdict(idle, higher).rate

    assert short is not None
    assert (short.direction, short.better) == ("low", 100.0)
    assert verdict(idle, higher, whole=100 * STEPS) == rates.Verdict()
    assert verdict(trial(*[2.0] * 10), higher) == rates.Verdict()  # too few steps to tell


def test_a_scale_is_the_same_for_all_losses() -> None:
    """The best answer without inputs is at 0, the right answers are at 1, whatever the loss is."""
    x, y = rows(classes=False)
    counts = (y - y.min() + 1).round()
    for name, targets in (("MSELoss", y), ("L1Loss", y), ("HuberLoss", y), ("PoissonNLLLoss", counts)):
        model = Small(number, 1)
        bench = Bench(model, getattr(nn, name)(), None, BATCH, lambda: None)
        scale = bench.scale((x, targets))
        assert scale is not None, name
        assert scale.learnt(scale.right) == pytest.approx(1)
        assert scale.learnt(min(scale.start, scale.constant)) == pytest.approx(0)
        assert scale.learnt(math.nan) == -math.inf


def test_rows_with_one_answer_have_no_scale() -> None:
    """There is nothing to learn from them, and so nothing is concluded."""
    x, _ = rows(classes=True)
    model = Small(scores, CLASSES)
    bench = Bench(model, nn.MSELoss(), None, BATCH, lambda: None)

    assert Bench(Small(number, 1), nn.MSELoss(), None, BATCH, lambda: None).scale((x, x[:, 0] * 0)) is None
    assert bench.model is model


def test_every_trial_begins_with_the_same_weights() -> None:
    """Weights, statistics and random numbers are those of the first trial again."""
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, CLASSES))
    bench = Bench(model, nn.CrossEntropyLoss(), None, BATCH, lambda: seed_everything(SEED))
    x, y = rows(classes=True)
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    first, second = (
        bench.trial(torch.optim.SGD(model.parameters(), lr=0.1), batches, batches[0], (30, 60.0))
        for _ in range(2)
    )

    assert first == second
    assert len(first.losses) == 30


def test_a_schedule_says_how_far_all_epochs_go() -> None:
    """The mean of a cosine is half of its beginning; a warm-up ends above it."""
    cosine = rates.schedule_of(ADAM, {"name": "CosineAnnealingLR", "T_max": 100}, 100)
    warm = rates.schedule_of(ADAM, {"name": "LinearLR", "start_factor": 0.01, "total_iters": 10}, 100)

    assert cosine.rate == 0.01
    assert cosine.mean == pytest.approx(0.5, abs=0.01)
    assert warm.mean > 90
    assert rates.schedule_of(ADAM, {"name": "ReduceLROnPlateau"}, 100).mean == 1
    assert rates.schedule_of(ADAM, None, 100) == rates.Schedule(0.01, 1.0)


def test_a_part_of_an_epoch_stands_for_the_whole() -> None:
    """The batches that were timed are extrapolated, and the time before the first of them is not."""

    def batches() -> Iterable[tuple[Tensor, Tensor]]:
        time.sleep(0.1)
        for _ in range(1000):
            time.sleep(0.01)
            yield torch.zeros(4, 1), torch.zeros(4)

    portion = pace.Portion(batches(), time.monotonic() + 0.25)
    taken = sum(1 for _ in portion)

    assert 2 <= taken < 30
    assert 5 < portion.seconds(1000) < 40


def test_observations_that_are_no_numbers_do_not_leave() -> None:
    """What is sent is JSON, whatever was seen."""
    seen = Observations()
    seen.add("one", {"a": math.inf, "b": math.nan, "c": 1}, names=["x" * 500] * 50, text="y" * 5000)
    seen.add("one", {"c": 2})
    seen.measure(a=math.nan, b=2.0)
    whole = json.loads(seen.payload())

    assert whole["findings"][0]["numbers"] == {"count": 50, "c": 1}
    assert len(seen.payload()) < 4000
    assert whole["measured"] == {"b": 2.0}


def test_a_pass_that_cannot_be_compared_has_no_first_difference() -> None:
    """Two passes that do different things are not compared operation by operation."""
    x = torch.ones(3)

    assert tracing.first_difference(lambda: x + 1, lambda: x.exp() + 1, 3) is None
    assert tracing.first_difference(lambda: x + 1, lambda: x + 1, 3) is None
