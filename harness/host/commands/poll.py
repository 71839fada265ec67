"""``harness poll``: grades what a class pushes, on a machine of the course's own."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.host.commands import GRADED, MACHINE_FAULT
from harness.host.commands.grading import run_batch
from harness.host.commands.options import (
    ArtifactsOption,
    ClusterOption,
    DeviceChoice,
    DeviceOption,
    JobsOption,
    ReferenceOption,
    RuntimeOption,
    StoreOption,
    WallChoice,
    WallOption,
    say,
    show_fault,
    the_assignment,
    the_place,
    the_reference,
    zone_of,
)
from harness.host.errors import HarnessError, InterruptedGradingError, UsageError

if TYPE_CHECKING:
    from harness.host.batch import Plan, Result
    from harness.host.poll import Look, Poll
    from harness.host.store.store import Store

FOLDER = "poll"
SECONDS_BETWEEN_LOOKS = 300.0


def poll(  # noqa: PLR0913  what there is to choose
    roster: Annotated[
        Path, typer.Argument(metavar="ROSTER", help="A CSV with the address of each student's repository.")
    ],
    *,
    assignment: Annotated[
        str | None, typer.Option(metavar="ID", help="The assignment, if there are several.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, grade what is new, and end.")] = False,
    every: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=1.0, help="Look again so often (default: 300), until Ctrl-C."),
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write what each student may see into DIR/STUDENT.")
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Log in to https with this file of git's credential-store."),
    ] = None,
    sandbox: WallOption = WallChoice.AUTO,
    runtime: RuntimeOption = None,
    device: DeviceOption = DeviceChoice.AUTO,
    reference: ReferenceOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Grade each new commit of a class's repositories once, as of when it was first seen.

    Exit status with --once: 0 all were read and graded, whatever their outcome; 2 wrong use; 3 some were not.
    """
    from harness.host.batch import Plan  # noqa: PLC0415  not for --help
    from harness.host.poll import poll_in  # noqa: PLC0415  likewise
    from harness.host.session import Means  # noqa: PLC0415  likewise

    if once and every is not None:
        raise UsageError("--once looks once, and --every again and again", "name one of them")
    if credentials is not None and not credentials.is_file():
        raise UsageError(f"there is no file {credentials}", "write a line into it: https://USER:TOKEN@HOST")
    found = the_assignment(assignment)
    place = the_place(store, artifacts, found)
    plan = Plan(found, Means(sandbox, device, runtime, found.id, the_reference(found, reference)), place)
    for number in (signal.SIGTERM, signal.SIGINT):  # also where a script started it with &
        signal.signal(number, signal.default_int_handler)
    with poll_in(plan, place.artifacts.parent / FOLDER / found.id, credentials) as polling:
        rounds = _Rounds(polling, plan, roster, feedback, jobs, cluster)
        if once:
            raise typer.Exit(rounds.one())
        rounds.on_and_on(every or SECONDS_BETWEEN_LOOKS)


class _Rounds:
    """Looks, grades and hands back, again and again; the arguments are those of `poll`."""

    def __init__(
        self,
        polling: Poll,
        plan: Plan,
        roster: Path,
        feedback: Path | None,
        jobs: int | None,
        cluster: str | None,
    ) -> None:
        from harness.host.store.store import Store  # noqa: PLC0415  not for --help

        self._polling, self._plan, self._roster = polling, plan, roster
        self._feedback, self._jobs, self._cluster = feedback, jobs, cluster
        self._store: Store = Store(plan.place)

    def on_and_on(self, seconds: float) -> None:
        """Until Ctrl-C; a fault, such as a roster that is being written, is told and no end.

        Raises:
            InterruptedGradingError: Ctrl-C in the middle of a round.
        """
        while True:
            try:
                self.one()
            except InterruptedGradingError:
                raise
            except HarnessError as error:
                show_fault(error)
            following = datetime.now().astimezone() + timedelta(seconds=seconds)
            say(f"the next look is at {following:%H:%M:%S}; Ctrl-C ends this")
            try:
                time.sleep(seconds)
            except KeyboardInterrupt:
                return

    def one(self) -> int:
        """One round.

        Returns:
            An exit status.

        Raises:
            HarnessError: it came to nothing.
        """
        from harness.host.handing_back import hand_back  # noqa: PLC0415  not for --help
        from harness.host.poll import repositories_of  # noqa: PLC0415  likewise
        from harness.host.roster import read_roster  # noqa: PLC0415  likewise

        repositories = repositories_of(read_roster(self._roster, zone_of(self._plan.assignment)))
        look = self._polling.look(repositories)
        self._tell(look, len(repositories))
        status = MACHINE_FAULT if look.faults else GRADED
        if look.new:
            try:
                run_batch(self._plan, look.new, self._jobs, self._cluster)
            except typer.Exit as done:
                status = max(status, done.exit_code)
        if self._feedback is not None:
            everybody = [*look.new, *(result.handed_in for result in look.before)]
            written = hand_back(self._store, self._plan.assignment, everybody, self._feedback)
            say(f"feedback for {written} in {self._feedback}")
        return status

    def _tell(self, look: Look, asked: int) -> None:
        from harness.host.report.tally import line_of  # noqa: PLC0415  not for --help

        for fault in look.faults:
            say(line_of(fault))
            self._record(fault)
        say(
            f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}  {asked} repositories: {len(look.new)} with "
            f"something new, {len(look.before)} graded before, {len(look.faults)} that could not be read"
        )

    def _record(self, result: Result) -> None:
        """Keep why, unless that is what was kept of this student last."""
        from harness.host.store.listing import list_faults  # noqa: PLC0415  not for --help
        from harness.host.store.rows import storable  # noqa: PLC0415  likewise

        whose, assignment = result.handed_in, self._plan.assignment.id
        last = list_faults(self._store, assignment, 1, whose.student)
        if not last or last[0]["message"] != storable(result.fault):
            self._store.record_fault(assignment, whose.student, whose.name, result.fault, result.fix)
