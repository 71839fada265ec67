"""Says whether a learning rate is far off: by short trainings at other rates, on the same batches.

A rate is too high where the loss explodes or nothing is learnt, and a tenth to a thousandth of it does
clearly better. It is too low where the whole training would not get anywhere: a short training at a rate that
is as many times higher as the whole training is longer goes about as far.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.guest import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.guest.fitting import Scale, Trial

ENOUGH = 0.1  # of the way from what needs no inputs to the right answers
FEW_STEPS = 50  # after fewer, having learnt nothing yet says nothing
BETTER = 0.7  # times the loss
LOWER, HIGHER = (0.1, 0.01, 0.001), (10.0, 100.0, 1e3, 1e4)  # times the config's
ABSOLUTE = [1e-4, 1e-3, 1e-2, 1e-1]  # where the config's is 0
MOST_EPOCHS_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that is off, and one that is not.

    Attributes:
        direction: ``high`` or ``low``.
        rate: of the config, as the first epoch has it.
        better: one at which the same steps did better.
        steps: of each trial.
        start: the loss before; `loss` and `better_loss` after the steps.
    """

    direction: str
    rate: float
    better: float
    steps: int
    start: float
    loss: float
    better_loss: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What trials at several rates came to.

    Attributes:
        rate: where the config's is off.
        is_stuck: whether nothing was learnt at any of them.
    """

    rate: Rate | None = None
    is_stuck: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a scheduler makes of the rate.

    Attributes:
        rate: of the first epoch.
        mean: of all epochs, in multiples of the first.
        ends: the epoch after which the scheduler raises, with what it says; None if it does not.
    """

    rate: float
    mean: float
    ends: tuple[int, str] | None = None


def schedule_of(
    optimizer_table: Mapping[str, Any], scheduler_table: Mapping[str, Any] | None, epochs: int
) -> Schedule:
    """Step a scheduler through the epochs, with an optimizer that has nothing to do."""
    optimizer = build.build_optimizer(optimizer_table, nn.Linear(1, 1, bias=False))
    scheduler = build.build_scheduler(scheduler_table, optimizer)
    rates = [float(optimizer.param_groups[0]["lr"])]
    ends = None
    follows_loss = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
    if scheduler is not None and not follows_loss:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer has taken no step
            for epoch in range(1, min(epochs, MOST_EPOCHS_LOOKED_AT) + 1):
                try:
                    scheduler.step()
                except Exception as error:  # noqa: BLE001  OneCycleLR beyond its steps, and whatever others raise
                    ends = epoch, str(error)
                    break
                rates.append(float(optimizer.param_groups[0]["lr"]))
    rates = rates[:epochs]
    mean = sum(rates) / len(rates) / rates[0] if rates[0] else 0.0
    return Schedule(rates[0], mean, ends)


def judge(
    trial_at: Callable[[float], Trial | None], own: Trial, scale: Scale, schedule: Schedule, whole: int
) -> Verdict:
    """Say whether the config's rate is off.

    Args:
        trial_at: trains at another rate, with as many steps; None once there is no time left.
        own: the training at the config's rate.
        scale: what the losses are measured against.
        schedule: of the config's rate.
        whole: steps of the whole training.
    """

    def off(direction: str, rate: float, trial: Trial) -> Verdict:
        steps = len(own.losses)
        return Verdict(Rate(direction, schedule.rate, rate, steps, scale.start, own.final, trial.final))

    def learnt(trial: Trial) -> bool:
        return scale.learnt(trial.final) >= ENOUGH

    if own.exploded:
        calmer = _best(trial_at, (schedule.rate * factor for factor in LOWER))
        if calmer is None or calmer[1].exploded or calmer[1].final > scale.start:
            return Verdict(is_stuck=True)
        is_better = calmer[1].final < BETTER * own.final or (learnt(calmer[1]) and not learnt(own))
        return off("high", *calmer) if is_better else Verdict()
    if learnt(own) or len(own.losses) < FEW_STEPS:
        return Verdict()
    reach = schedule.rate * schedule.mean * whole / len(own.losses)  # goes as far as the whole training
    higher = [schedule.rate * factor for factor in HIGHER] if schedule.rate else ABSOLUTE
    for rate in sorted({max(reach, schedule.rate), *higher} - {schedule.rate}):
        trial = trial_at(rate)
        if trial is not None and learnt(trial):
            return off("low", rate, trial) if rate > reach else Verdict()
    lower = _best(trial_at, (schedule.rate * factor for factor in LOWER))
    return off("high", *lower) if lower is not None and learnt(lower[1]) else Verdict(is_stuck=True)


def _best(trial_at: Callable[[float], Trial | None], rates: Iterable[float]) -> tuple[float, Trial] | None:
    trials = [(rate, trial) for rate in rates if (trial := trial_at(rate)) is not None]
    return min(trials, key=lambda each: each[1].final, default=None)
