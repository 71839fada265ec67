"""How much two columns have to do with each other beyond chance, as one figure that every pair shares.

Numbers are turned into ranks, and classes into one column for each class, both scaled so that for n rows that
are in no relation n * |A'B / n|^2 is chi-squared, with as many degrees of freedom as the two have columns. Of
ranks and ranks that is Spearman's test, of ranks and classes Kruskal and Wallis's, of classes and classes
Pearson's. Its deviation from what chance gives is told in standard deviations of a normal variable, by Wilson
and Hilferty's cube root (PNAS 17, 1931), so that a threshold means the same for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BEYOND_CHANCE = 7.0  # one test in 10^12 passes it by chance: a whole kit takes some thousands
MOST_GROUPS = 40  # columns with more values than that are numbers, not names of groups
_EXACT = math.log(1e12)


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Facet:
    """One way to look at a column: as numbers, or as groups.

    Attributes:
        columns: (N, K) float64, each of mean 0 and mean square 1 where K is 1.
        freedom: degrees of freedom, under K for groups.
    """

    columns: Floats
    freedom: int


def ranks(values: NDArray[Any]) -> Floats:
    """The ranks (N,) of values (N,) from 1 on; equal ones share their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: Floats = (last - (counts - 1) / 2)[places]
    return shared


def as_numbers(values: NDArray[Any]) -> Facet | None:
    """Values (N,) by their ranks; None where all are the same."""
    ranked = ranks(values)
    ranked -= ranked.mean()
    size = math.sqrt(float(np.mean(ranked**2)))
    return Facet((ranked / size)[:, None], 1) if size > 0 else None


def as_groups(values: NDArray[Any]) -> Facet | None:
    """Values (N,) by which group they name; None where there is one, or too many for the number of rows."""
    groups, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    if not 1 < len(groups) <= min(MOST_GROUPS, len(values) // 5):
        return None
    shares = counts / len(values)
    columns = (np.eye(len(groups))[places] - shares) / np.sqrt(shares)
    return Facet(columns, len(groups) - 1)


def facets(values: NDArray[Any], *, named: bool = False) -> list[Facet]:
    """All ways to look at values (N,).

    Args:
        values: numbers.
        named: they only name groups, so that their order means nothing.
    """
    found = [as_groups(values), None if named else as_numbers(values)]
    return [facet for facet in found if facet is not None]


def deviation(first: Facet, second: Facet) -> float:
    """By how many standard deviations two facets of N rows go together more than chance would have it."""
    rows, freedom = len(first.columns), first.freedom * second.freedom
    if first.columns.shape[1] * second.columns.shape[1] > rows:
        return 0.0  # too many cells for the rows: the law of large numbers has not begun
    squared = rows * float(np.sum((first.columns.T @ second.columns / rows) ** 2))
    return wilson_hilferty(squared, freedom)


def wilson_hilferty(squared: float, freedom: int) -> float:
    """The normal deviate of a chi-squared figure."""
    spread = 2 / (9 * freedom)
    return (math.pow(squared / freedom, 1 / 3) - (1 - spread)) / math.sqrt(spread)


def strongest(values: NDArray[Any], secret: list[Facet], *, named: bool = False) -> float:
    """The largest deviation of values (N,) from all facets of a secret, looked at in every way."""
    return max(
        (deviation(facet, other) for facet in facets(values, named=named) for other in secret), default=0.0
    )


def determines(values: NDArray[Any], secret: NDArray[Any]) -> bool:
    """Whether values (N,) and a secret (N,) name each other one to one, and chance would not do that.

    The chance is that of the secret's values in random order: one in N! / (n1! n2! ...) for groups of n1,
    n2... Where neither the order nor its reverse is the same, any pairing of the groups would do, which is
    likelier: two columns that are different in every row name each other always, and tell nothing by that.
    """
    ours, theirs = (np.unique(each, return_inverse=True)[1] for each in (values, secret))
    counts = np.bincount(theirs)
    if not len(np.unique(ours * len(counts) + theirs)) == len(counts) == ours.max() + 1:
        return False
    orders = math.lgamma(len(theirs) + 1) - sum(math.lgamma(count + 1) for count in counts.tolist())
    in_order = np.array_equal(ours, theirs) or np.array_equal(ours, ours.max() - theirs)
    return orders - (math.log(2) if in_order else math.lgamma(len(counts) + 1)) > _EXACT
