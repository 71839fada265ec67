"""Looks a submission over in seconds for what usually goes wrong: the guest's half of ``harness check``.

The loops, the tasks and the data are those of the training. What is seen are codes and numbers; the words and
the hints are the host's (``harness/host/preflight``). Nothing trained here is kept.
"""

from __future__ import annotations

import io
import itertools
import resource
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from harness.guest import build, learning, pace, rates, scores, steadiness, wiring
from harness.guest.findings import explain
from harness.guest.first_steps import data_are_finite, not_finite, rows_not_finite, try_batches, try_size
from harness.guest.fitting import Bench
from harness.guest.tracing import is_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor
    from torch.optim import Optimizer

    from harness.guest.loops import Training
    from harness.guest.observations import Observations

    Batch = tuple[Tensor, Tensor]

MOST_BATCHES = learning.STEPS
FEW_ROWS = 2 * steadiness.ROWS
SHARES = {"batches": 0.15, "scan": 0.1, "pace": 0.3}  # of the time
KIBIBYTE = 1 << 10
# With one of these, whatever is learnt or not says nothing more.
DECISIVE = frozenset(
    {
        *("softmax_before_loss", "sigmoid_before_loss", "nll_without_log_softmax", "frozen_parameters"),
        *("unregistered_parameters", "no_gradient", "nan_in_forward"),
    }
)
BREAKING = frozenset({"last_batch", "nan_in_data"})  # the training would end in its first epoch


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked over.

    Attributes:
        training: as for the whole training, before its first step.
        optimizer: table of the config; `scheduler` likewise, if there is one.
        rows: of an epoch's training and of its validation.
        batch_size: of the config.
        predicted: rows and batch size of each prediction.
        unlabelled: makes the student's own data set of a file without targets, as inputs; None without one.
        seed: everything, as before the training.
        seconds: for all of it, about.
        started: when the first byte of the submission was looked at, by `time.monotonic`.
    """

    training: Training
    optimizer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None
    rows: tuple[int, int]
    batch_size: int
    predicted: tuple[tuple[int, int], ...]
    unlabelled: Callable[[], Iterable[Tensor]] | None
    seed: Callable[[], None]
    seconds: float
    started: float


def examine(subject: Subject, seen: Observations) -> None:
    """Look a submission over.

    Args:
        subject: the submission, ready to be trained.
        seen: takes what is found, as it is found.

    Raises:
        Exception: whatever the student's code raises where the training would meet it too.
    """
    _Examination(subject, seen).run()


class _Examination:
    def __init__(self, subject: Subject, seen: Observations) -> None:
        self._subject, self._seen, self._training = subject, seen, subject.training
        self._model = subject.training.model
        self._until = time.monotonic() + subject.seconds
        self._setup = time.monotonic() - subject.started

    def _left(self) -> float:
        return self._until - time.monotonic()

    def run(self) -> None:
        """Everything, from what costs least to what costs most."""
        self._look_at_parameters()
        reached = wiring.Reached(self._model)
        batches = [self._moved(batch) for batch in itertools.islice(self._training.tr_set, 2)]
        may_go_on = try_batches(self._training, batches, reached, self._seen)
        reached.close()
        self._look_at_weights()
        if may_go_on:
            training, subject = self._training, self._subject
            bench = Bench(
                self._model, training.criterion, training.grad_clip, subject.batch_size, subject.seed
            )
            self._go_on(bench, reached)
        else:
            self._seen.skip("findings", "eval", "pace", "overfit", "learning_rate")
        self._measure_memory()

    def _go_on(self, bench: Bench, reached: wiring.Reached) -> None:
        """What asks for a model whose first batches went well."""
        batches = self._gather()
        enough = -(-FEW_ROWS // len(batches[0][0]))
        x, y = (torch.cat([batch[part] for batch in batches[:enough]]) for part in (0, 1))
        scores.judge_scores(self._model, self._training.criterion, x, self._seen)
        steadiness.judge_steadiness(self._model, x[:FEW_ROWS], self._seen)
        self._scan(batches)
        self._try_other_batches((x, y))
        bench.reset()
        schedule = rates.schedule_of(self._subject.optimizer, self._subject.scheduler, self._training.epochs)
        if schedule.ends is not None:
            self._seen.add("scheduler_ends", {"epoch": schedule.ends[0]}, text=schedule.ends[1])
        if self._seen.any_of(BREAKING):
            self._seen.skip("findings", "pace", "overfit", "learning_rate")
            return
        self._time_epochs(bench, reached, x)
        if self._seen.any_of(DECISIVE):
            self._seen.skip("findings", "overfit", "learning_rate")
        elif self._left() <= 0:
            self._seen.skip("time", "overfit", "learning_rate")
        else:
            whole = self._training.epochs * self._batches_of(self._subject.rows[0])
            lesson = learning.Lesson(bench, self._optimizer, batches, schedule, whole, self._left)
            learning.judge_learning(lesson, self._seen)

    def _look_at_parameters(self) -> None:
        hidden, still = wiring.unregistered(self._model), wiring.frozen(self._model)
        if hidden:
            self._seen.add("unregistered_parameters", names=hidden)
        if still:
            parameters = list(self._model.named_parameters())
            whole = sum(parameter.numel() for _, parameter in parameters)
            numbers = sum(parameter.numel() for name, parameter in parameters if name in set(still))
            self._seen.add("frozen_parameters", {"numbers": numbers, "of": whole}, names=still)

    def _look_at_weights(self) -> None:
        sink = _Counter()
        state = {
            name: value.cpu() for name, value in self._model.state_dict().items() if torch.is_tensor(value)
        }
        torch.save(state, sink)
        self._seen.measure(weights_bytes=sink.written)

    def _gather(self) -> list[Batch]:
        """The first batches of an epoch, as many as trials want and there is time for."""
        until = time.monotonic() + SHARES["batches"] * self._subject.seconds
        self._subject.seed()
        batches: list[Batch] = []
        for batch in self._training.tr_set:
            batches.append(self._moved(batch))
            if len(batches) >= MOST_BATCHES or time.monotonic() > until:
                break
        return batches

    def _scan(self, batches: list[Batch]) -> None:
        """Look for rows whose prediction is not finite, in evaluation mode; those of the validation too."""
        until = time.monotonic() + SHARES["scan"] * self._subject.seconds
        self._model.eval()
        for number, batch in enumerate(itertools.chain(batches, self._training.dv_set), start=1):
            x, y = self._moved(batch)
            if not data_are_finite((x, y), number, self._seen):
                return
            with torch.no_grad():
                pred = self._model(x)
            if not is_finite(pred):
                numbers = {"batch": number, "rows": rows_not_finite(pred), "of": len(x)}
                not_finite(self._model, x, self._seen, numbers)
                return
            if time.monotonic() > until:
                return

    def _try_other_batches(self, rows: Batch) -> None:
        """Try the sizes that the last batches of training, validation and predictions will have."""
        x, y = rows
        task, model, size = self._training.task, self._model, self._subject.batch_size
        last = self._subject.rows[0] % size
        if 0 < last <= len(x):
            model.train()
            try_size(
                lambda: task.check_training_output(model(x[:last]), y[:last]), last, self._seen, training=True
            )
        model.eval()
        others = {self._subject.rows[1] % size, *(rows % each for rows, each in self._subject.predicted)}
        with torch.no_grad():
            for size_of_last in sorted(others - {0}):
                few = x[:size_of_last]
                if self._left() > 0:
                    try_size(partial(self._predict, few), len(few), self._seen, training=False)
        if self._subject.unlabelled is not None:
            self._try_unlabelled(self._subject.unlabelled)

    def _try_unlabelled(self, unlabelled: Callable[[], Iterable[Tensor]]) -> None:
        """Try the student's data set on a file without targets, as the test file is."""
        try:
            for x in unlabelled():
                with torch.no_grad():
                    self._predict(x)
        except Exception as error:  # noqa: BLE001  whatever the student's code raises
            self._seen.add("data_set_without_targets", text=explain(error).message)

    def _predict(self, x: Tensor) -> Tensor:
        return self._training.task.check_prediction(self._model(x.to(self._training.device)), len(x))

    def _time_epochs(self, bench: Bench, reached: wiring.Reached, x: Tensor) -> None:
        self._subject.seed()
        counts = self._batches_of(self._subject.rows[0]), self._batches_of(self._subject.rows[1])
        seconds = min(SHARES["pace"] * self._subject.seconds, max(0.0, self._left()))
        took = pace.measure(self._training, counts, seconds, self._training.epochs)
        reached.look()
        reached.compare(bench.first)
        self._seen.measure(
            setup_seconds=self._setup,
            epoch_seconds=took.epoch,
            row_seconds=took.row,
            epochs_timed=took.epochs,
        )
        for code, missed in zip(("no_gradient", "not_used"), reached.without_gradient(), strict=True):
            if missed:
                self._seen.add(code, names=missed)
        steadiness.judge_statistics(self._model, bench.first, self._seen)
        if is_finite(list(self._model.parameters())):
            steadiness.judge_steadiness(self._model, x[:FEW_ROWS], self._seen)
        bench.reset()
        self._training.optimizer.state.clear()  # trials have their own, and memory is limited

    def _measure_memory(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
        self._seen.measure(memory_bytes=used)
        if self._training.device == "cuda":
            self._seen.measure(gpu_bytes=torch.cuda.max_memory_allocated())

    def _optimizer(self) -> Optimizer:
        optimizer = build.build_optimizer(self._subject.optimizer, self._model)
        build.build_scheduler(self._subject.scheduler, optimizer)  # some change the rate at once
        return optimizer

    def _batches_of(self, rows: int) -> int:
        return -(-rows // self._subject.batch_size)

    def _moved(self, batch: Batch) -> Batch:
        return batch[0].to(self._training.device), batch[1].to(self._training.device)


class _Counter(io.BytesIO):
    """A file that keeps nothing but the number of its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: Any) -> int:  # noqa: ANN401  a buffer of any kind
        size = memoryview(data).nbytes
        self.written += size
        return size
