"""Reads ``assignment.toml`` into a closed, frozen schema, and finds an assignment by its id."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.host.errors import UsageError
from harness.host.late import LateSection  # noqa: TC001  pydantic looks it up when the class is made
from harness.host.schema_errors import joined, nearest, problems_of, quoted, unknown
from harness.host.tasks import METRIC_DIRECTIONS, TASKS, Task
from harness.host.torch_names import REFUSED_LOSSES

if TYPE_CHECKING:
    TaskName = str
    MetricName = str
else:  # closed sets that stand in `tasks` alone
    TaskName = Literal[tuple(TASKS)]
    MetricName = Literal[tuple(METRIC_DIRECTIONS)]

FILE_NAME = "assignment.toml"
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
RANGE_KEYS = frozenset({"seed", "epochs", "batch_size", "valid_ratio", "early_stop", "grad_clip"})
RANGE_TABLES = frozenset({"model", "optimizer", "scheduler", "loss"})

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Points = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value:
        raise ValueError(
            f"{quoted(value)} must be a path inside the assignment's folder, such as data/train.csv"
        )
    return value


InnerPath = Annotated[str, AfterValidator(_inside)]


class DataSection(_Closed):
    """Where the rows are: `id` and `target` name columns, `classes` is for tasks that have them."""

    train: InnerPath = "data/train.csv"
    test: InnerPath = "data/test.csv"
    id: Annotated[str, Field(min_length=1)] = "id"
    target: Annotated[str, Field(min_length=1)]
    classes: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.id == self.target:
            raise ValueError(f"id and target are both {quoted(self.id)}, must be two columns")
        return self


class MetricSection(_Closed):
    """What is measured, and which way is better."""

    name: MetricName
    direction: Literal["min", "max"]

    @model_validator(mode="after")
    def _direction_fits(self) -> Self:
        if self.direction != METRIC_DIRECTIONS[self.name]:
            raise ValueError(
                f"direction is {quoted(self.direction)}, but of {self.name} the "
                f"{METRIC_DIRECTIONS[self.name]} is the best"
            )
        return self


class LossSection(_Closed):
    """The loss class of ``torch.nn`` that trains where the config names none."""

    name: str


class SplitSection(_Closed):
    """The share of the test rows whose score students see."""

    public_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5


class Limits(_Closed):
    """What one submission may use: seconds of wall clock, MiB (``_mb``), KiB (``_kb``)."""

    train_seconds: Positive = 120.0
    predict_seconds: Positive = 30.0
    memory_mb: Count = 2048
    cpus: Positive = 1.0
    processes: Count = 256
    scratch_mb: Count = 256
    shared_memory_mb: Count = 256
    log_kb: Count = 256
    submission_kb: Count = 1024
    weights_mb: Count = 128
    gpu: bool = False


class PointsSection(_Closed):
    """What the checks that every assignment has are worth."""

    contract: Points
    finished: Points
    finite: Points
    runtime: Points
    independent: Points = 0.0


class Tier(_Closed):
    """A threshold of the metric, and what reaching it is worth on each split."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    threshold: Finite
    public_points: Points
    private_points: Points


def _low_to_high(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"{quoted(value)} must be [lowest, highest]")
    return value


Range = Annotated[tuple[Finite, Finite], Field(strict=False), AfterValidator(_low_to_high)]


class AssignmentFile(_Closed):
    """The keys of ``assignment.toml``."""

    id: Annotated[str, Field(pattern=f"^{ID.pattern}$")]
    title: Annotated[str, Field(min_length=1)]
    task: TaskName
    data: DataSection
    metric: MetricSection
    loss: LossSection
    split: SplitSection = SplitSection()
    limits: Limits = Limits()
    points: PointsSection
    tiers: Annotated[tuple[Tier, ...], Field(strict=False)] = ()
    ranges: dict[str, Range] = Field(default_factory=dict)
    deadline: AwareDatetime | None = None
    late: LateSection | None = None
    attempts_per_day: Count | None = None
    docker_runtime: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("loss")
    @classmethod
    def _loss_fits(cls, loss: LossSection, info: ValidationInfo) -> LossSection:
        task = TASKS.get(info.data.get("task", ""))
        if task is not None and loss.name not in task.losses:
            why = REFUSED_LOSSES.get(loss.name) or unknown(loss.name, task.losses)
            raise ValueError(f"name is {quoted(loss.name)}, which cannot be the loss here: {why}")
        return loss

    @field_validator("tiers")
    @classmethod
    def _tiers_ascend(cls, tiers: tuple[Tier, ...], info: ValidationInfo) -> tuple[Tier, ...]:
        names = [tier.name for tier in tiers]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {quoted(repeated[0])} is used twice")
        metric = info.data.get("metric")
        sign = -1 if metric is not None and metric.direction == "min" else 1
        for easier, harder in itertools.pairwise(tiers):
            if metric is not None and sign * harder.threshold <= sign * easier.threshold:
                raise ValueError(
                    f"the threshold of {quoted(harder.name)} ({harder.threshold}) is no harder than that of "
                    f"{quoted(easier.name)} ({easier.threshold}); tiers go from the easiest to the hardest, "
                    f"and the {metric.direction} of {metric.name} is the best"
                )
        return tiers

    @field_validator("ranges")
    @classmethod
    def _ranges_known(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        for key in ranges:
            table, _, name = key.partition(".")
            if not (key in RANGE_KEYS or (table in RANGE_TABLES and name)):
                known = {*RANGE_KEYS, "optimizer.lr", "model.<name>"}
                raise ValueError(f"{quoted(key)} is no number of config.toml; {unknown(key, known)}")
        return ranges

    @model_validator(mode="after")
    def _late_has_a_deadline(self) -> Self:
        if self.late is not None and self.deadline is None:
            raise ValueError("deadline is missing, and the table late counts the days from it")
        return self

    @model_validator(mode="after")
    def _task_fits(self) -> Self:
        task = TASKS[self.task]
        if self.metric.name not in task.metrics:
            raise ValueError(
                f"metric.name is {quoted(self.metric.name)}, but the task is {self.task}; "
                f"allowed are {', '.join(task.metrics)}"
            )
        if (self.data.classes is not None) != task.has_classes:
            need = "must be given" if task.has_classes else "must be left out"
            raise ValueError(f"data.classes {need}, since the task is {self.task}")
        return self


class Assignment(AssignmentFile):
    """An assignment: the keys of its file, and the folder that it lies in."""

    folder: Path = Field(exclude=True)

    @property
    def train_path(self) -> Path:
        """The CSV of the training rows."""
        return self.folder / self.data.train

    @property
    def test_path(self) -> Path:
        """The CSV of the test inputs."""
        return self.folder / self.data.test

    @property
    def kind(self) -> Task:
        """What depends on the kind of task."""
        return TASKS[self.task]

    @property
    def outputs(self) -> int:
        """How many numbers a prediction has: a score for each class, or one."""
        return self.data.classes or 1


def load_assignment(folder: Path) -> Assignment:
    """Read and check ``assignment.toml`` in `folder`.

    Raises:
        UsageError: it is missing, is no TOML, or has a wrong key or value; all problems are named.
    """
    path = folder / FILE_NAME
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist", "name an assignment's folder, or its id") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "mend the file") from error
    try:
        checked = AssignmentFile.model_validate(table)
    except ValidationError as error:
        problems = joined(problems_of(error, AssignmentFile))
        raise UsageError(
            f"{path}: {problems}", "mend the file; docs/reference/assignment.md lists its keys"
        ) from error
    folder = folder.resolve()
    if checked.id != folder.name:
        # The reference is found by the id: a copied folder would be scored against another one's answers.
        raise UsageError(
            f"{path}: id is {quoted(checked.id)}, but the folder is named {quoted(folder.name)}",
            "give both the same name",
        )
    assignment = Assignment(**dict(checked), folder=folder)
    for data in (assignment.train_path, assignment.test_path):
        if not data.resolve().is_relative_to(folder):
            raise UsageError(f"{path}: {data} leads out of the assignment's folder", "put the data inside")
    return assignment


def find_assignment(assignment_id: str, start: Path) -> Path:
    """The folder ``assignments/<id>`` in `start` or the nearest of its parents.

    Args:
        assignment_id: may come from a submission, so its form is checked before anything is looked up.
        start: where to begin.

    Raises:
        UsageError: there is none; the message names those that exist.
    """
    start = start.resolve()
    roots = [root / "assignments" for root in (start, *start.parents)]
    if ID.fullmatch(assignment_id):
        for root in roots:
            if (root / assignment_id / FILE_NAME).is_file():
                return root / assignment_id
    existing = known_assignments(start)
    near = nearest(assignment_id, existing)
    fix = f"did you mean {near}?" if near else "run the command where assignments/ lies, or under it"
    listed = (
        f"there are {', '.join(existing)}" if existing else f"there is no assignments/ in {start} or above"
    )
    raise UsageError(f"there is no assignment {quoted(assignment_id)}; {listed}", fix)


def known_assignments(start: Path) -> list[str]:
    """The ids of all assignments in `start` and its parents."""
    start = start.resolve()
    roots = [root / "assignments" for root in (start, *start.parents)]
    return sorted({file.parent.name for root in roots for file in root.glob(f"*/{FILE_NAME}")})


def reference_folder(assignment: Assignment) -> Path:
    """Where the assignment's hidden reference would be: ``reference/<id>``, beside ``assignments/``."""
    return assignment.folder.parent.parent / "reference" / assignment.id
