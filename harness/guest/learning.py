"""Whether a model can learn, and whether it does so with the settings it was handed in with.

A model that cannot even learn a few rows by heart has a fault. One that can, with plain Adam at some rate,
but does not with its own settings, has the fault in these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.guest import rates
from harness.guest.fitting import same_for_all
from harness.guest.tracing import RISKY, Operation, first_non_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from harness.guest.fitting import Bench, Scale, Trial
    from harness.guest.observations import Observations

    Batch = tuple[Tensor, Tensor]

STEPS = 200
FEW_ROWS, JUDGED_ROWS = 32, 256
BY_HEART = 0.5  # of the way from what needs no inputs to the right answers
ADAM = (1e-3, 1e-2, 1e-1, 1.0)
SHARE = 0.25  # of the time that is left, for one trial
MODERATE = 1e6  # an operation that breaks on numbers under this does not do so because weights exploded


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a model is to learn, and how.

    Attributes:
        bench: trains it.
        own_optimizer: makes the config's optimizer, as the first epoch has it.
        batches: of the training, in the order of an epoch.
        schedule: of the config's rate.
        whole: steps of the whole training.
        left: seconds that there are.
    """

    bench: Bench
    own_optimizer: Callable[[], Optimizer]
    batches: Sequence[Batch]
    schedule: rates.Schedule
    whole: int
    left: Callable[[], float]

    def rows(self) -> Batch:
        """Rows by which a training is judged."""
        enough = -(-JUDGED_ROWS // len(self.batches[0][0]))
        x, y = (torch.cat([batch[part] for batch in self.batches[:enough]]) for part in (0, 1))
        return x[:JUDGED_ROWS], y[:JUDGED_ROWS]


@dataclass(frozen=True, slots=True)
class Test:
    """Rows to be learnt, and the rows that this is judged by.

    Attributes:
        steps: of each trial.
        enough: of the way to the right answers; a trial may end there.
    """

    lesson: Lesson
    batches: Sequence[Batch]
    judged: Batch
    scale: Scale
    steps: int = STEPS
    enough: float = math.inf

    def own(self) -> Trial:
        """Train with the config's settings."""
        return self._trial(self.lesson.own_optimizer())

    def at(self, rate: float) -> Trial | None:
        """Train at another rate; None without time, or where that cannot be done."""

        def optimizer() -> Optimizer:
            made = self.lesson.own_optimizer()
            for group in made.param_groups:
                group["lr"] = rate
            return made

        return self._tried(optimizer)

    def by_adam(self, rate: float) -> Trial | None:
        """Train with plain Adam; None without time, or where that cannot be done."""
        return self._tried(lambda: torch.optim.Adam(self.lesson.bench.model.parameters(), lr=rate))

    def has_learnt(self, trial: Trial, share: float) -> bool:
        """Whether a trial came so far on the way to the right answers."""
        return self.scale.learnt(trial.final) >= share

    def _trial(self, optimizer: Optimizer) -> Trial:
        limits = (self.steps, SHARE * self.lesson.left())
        return self.lesson.bench.trial(
            optimizer, self.batches, self.judged, limits, lambda loss: self.scale.learnt(loss) >= self.enough
        )

    def _tried(self, optimizer: Callable[[], Optimizer]) -> Trial | None:
        """A trial that the training itself would not make, so that what it raises says nothing."""
        if self.lesson.left() <= 0:
            return None
        try:
            return self._trial(optimizer())
        except Exception:  # noqa: BLE001  such as a decomposition that does not take numbers that large
            return None


def judge_learning(lesson: Lesson, seen: Observations) -> None:
    """Look whether the model can learn a few rows by heart, and whether its settings let it learn at all."""
    if _can_learn_by_heart(lesson, seen):
        _judge_settings(lesson, seen)


def _can_learn_by_heart(lesson: Lesson, seen: Observations) -> bool:
    bench, (x, y) = lesson.bench, lesson.batches[0]
    few = x[:FEW_ROWS], y[:FEW_ROWS]
    scale = bench.scale(few)
    if scale is None:
        return True  # these rows have one answer: they cannot tell
    test = Test(lesson, [few], few, scale, enough=BY_HEART)
    best = test.own()
    if test.has_learnt(best, BY_HEART):
        _judge_modes(test, best, seen)
        return True
    are_same = same_for_all(bench.outputs(few[0]))
    for rate in ADAM:
        trial = test.by_adam(rate)
        if trial is not None and test.has_learnt(trial, BY_HEART):
            return True
        if trial is None or trial.is_cut:
            seen.skip("time", "overfit", "learning_rate")
            return False
        best = min(best, trial, key=lambda each: each.final)
        are_same = are_same and same_for_all(bench.outputs(few[0]))
    numbers = {"rows": len(x[:FEW_ROWS]), "steps": STEPS, "loss": best.final}
    code = (
        "inputs_not_scaled" if _needs_scaling(test) else "constant_outputs" if are_same else "cannot_overfit"
    )
    seen.add(
        code, numbers | {"start": scale.start, "constant": scale.constant, "largest": float(x.abs().max())}
    )
    seen.skip("findings", "learning_rate")
    return False


def _needs_scaling(test: Test) -> bool:
    """Whether the same rows can be learnt once each input has the mean 0 and the deviation 1."""
    x = test.lesson.rows()[0]
    if not x.is_floating_point():
        return False
    few = (test.judged[0] - x.mean(0)) / (x.std(0) + 1e-6), test.judged[1]
    scaled = Test(test.lesson, [few], few, test.scale, enough=BY_HEART)
    return any(
        trial is not None and scaled.has_learnt(trial, BY_HEART)
        for trial in (scaled.by_adam(rate) for rate in ADAM)
    )


def _judge_modes(test: Test, own: Trial, seen: Observations) -> None:
    """Look whether what was learnt in training mode is lost in evaluation mode."""
    bench, scale = test.lesson.bench, test.scale
    is_explained = seen.any_of(frozenset({"statistics_not_updated"}))
    if not is_explained and scale.learnt(own.losses[-1]) >= BY_HEART and scale.learnt(own.after) < 0:
        bench.settle(test.judged)
        after = bench.loss(test.judged)
        if scale.learnt(after) < 0:
            numbers = {"training": own.losses[-1], "evaluation": after, "constant": scale.constant}
            seen.add("train_eval_mismatch", numbers)


def _judge_settings(lesson: Lesson, seen: Observations) -> None:
    x, y = lesson.rows()
    scale = lesson.bench.scale((x, y))
    if scale is None:
        return
    own = Test(lesson, lesson.batches, (x, y), scale, steps=min(STEPS, lesson.whole)).own()
    broke = _where_it_broke(lesson, own)
    if broke is not None and broke.name in RISKY and broke.largest < MODERATE:
        seen.add_operation("nan_in_forward", broke, {"step": len(own.losses)})
        return
    test = Test(lesson, lesson.batches, (x, y), scale, steps=len(own.losses))
    trials: list[Trial | None] = []

    def trial_at(rate: float) -> Trial | None:
        trials.append(test.at(rate))
        return trials[-1]

    verdict = rates.judge(trial_at, own, scale, lesson.schedule, lesson.whole)
    if verdict.rate is not None:
        rate = verdict.rate
        numbers = {"rate": rate.rate, "better": rate.better, "steps": rate.steps, "start": rate.start}
        numbers |= {"loss": rate.loss, "better_loss": rate.better_loss}
        seen.add(f"learning_rate_{rate.direction}", numbers)
    elif _is_undecided(own, trials):
        seen.skip("time", "learning_rate")
    elif verdict.is_stuck:
        _judge_optimizer(test, own, seen)


def _is_undecided(own: Trial, trials: Sequence[Trial | None]) -> bool:
    """Whether time was too short for what was not found to be not there."""
    too_few = own.is_cut and len(own.losses) < rates.FEW_STEPS
    return too_few or any(trial is None or trial.is_cut for trial in trials)


def _judge_optimizer(test: Test, own: Trial, seen: Observations) -> None:
    """Compare with plain Adam: where that learns, the rest of the optimizer's settings is in the way."""
    for rate in ADAM:
        trial = test.by_adam(rate)
        if trial is not None and not trial.exploded and test.has_learnt(trial, rates.ENOUGH):
            numbers = {
                "better": rate,
                "start": test.scale.start,
                "loss": own.final,
                "better_loss": trial.final,
            }
            seen.add("optimizer_stuck", numbers | {"steps": len(own.losses)})
            return


def _where_it_broke(lesson: Lesson, own: Trial) -> Operation | None:
    """The operation at which the last step's numbers stopped being finite; its weights are still there."""
    if math.isfinite(own.losses[-1]):
        return None
    model, (x, _) = lesson.bench.model, lesson.batches[(len(own.losses) - 1) % len(lesson.batches)]

    def forward() -> object:
        model.train()
        with torch.no_grad():
            return model(x)

    return first_non_finite(forward)
