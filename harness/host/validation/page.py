"""Shows findings as a table, and below it what to do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.host.report.text import printable
from harness.host.validation.findings import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.host.validation.findings import Finding

WORDS = {Level.PASSED: "passed", Level.WARNING: "to look at", Level.PROBLEM: "to mend"}


def render(findings: Sequence[Finding], console: Console) -> None:
    """Show what was found, then what to do, then how many there are of each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in findings:
        sign, colour = finding.level.value
        table.add_row(Text(sign, style=colour), finding.subject, Text(printable(finding.detail)))
    console.print(table, highlight=False)
    to_do = [finding for finding in findings if finding.todo]
    if to_do:
        console.print()
    for finding in to_do:
        sign, colour = finding.level.value
        line = Text(f"{sign} ", style=colour).append(
            f"{finding.subject}: {printable(finding.todo)}", style="default"
        )
        console.print(line, highlight=False)
    counts = Counter(finding.level for finding in findings)
    console.print()
    console.print(
        Text(", ".join(f"{counts[level]} {words}" for level, words in WORDS.items()), style="bold"),
        highlight=False,
    )
