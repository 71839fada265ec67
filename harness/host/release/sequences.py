"""Finds hidden values in a sequence of numbers: in order, scaled, rounded, noisy, in part, or shuffled.

Test rows lie in random order, or should. So to any sequence that was not made from the answers they are
noise, and chance decides how much the two agree; each test here is passed by chance less than once in 10^9
sequences:

- of the same length, put into each order in which rows may have been written: `association`;
- of another length: the shorter slides along the longer, and their ranks are correlated at each place;
- in part: runs of neighbours that are equal, longer than chance makes them in sequences of that length;
- shuffled: the same values, or the same numbers of equal values from the smallest to the largest (which no
  scaling changes), or a distribution so much alike, up to scale, logarithm, root and rounding, as two samples
  of one distribution never are (Kolmogorov's distance under 0.15 of its standard error).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.host.association import BEYOND_CHANCE, determines, ranks, strongest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.host.release.hidden import Hidden, Secret

    Floats = NDArray[np.float64]

SLIDING = 9.0  # standard errors: more than for one place, since there are up to millions of them
SHORTEST = 8  # numbers: fewer are prose
SHORTEST_SLIDE = 82  # numbers: of fewer, no correlation has as many standard errors
LONGEST_SLIDE = 1 << 22
FLAT = 1e-6  # variance of ranks from -1 to 1, under which nothing can be correlated
RARE = math.log(1e12)
MANY_VALUES = 40  # fewer are classes, or rounded so much that they tell little but how many there are of each
ALIKE = 0.15  # of Kolmogorov's distance's standard error: chance gives that once in 10^15 times
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # of the hash of a run; odd, so that nothing is lost


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Written:
    """A secret as somebody may have written it down.

    Attributes:
        secret: which one.
        how: in which order, for messages.
        order: (M,) the positions in the test file, in that order.
        values: (M,) in that order.
        codes: (M,) the numbers from 1 of the values among all that occur.
    """

    secret: Secret
    how: str
    order: NDArray[np.intp]
    values: Floats
    codes: NDArray[np.uint64]


class Sequences:
    """Looks for the secrets in sequences of numbers; what many sequences are compared with is made once.

    Args:
        hidden: of the assignment.
    """

    def __init__(self, hidden: Hidden) -> None:
        self._hidden = hidden
        self._written = tuple(_ways_to_write(hidden))
        self._centred = [_centred(written.values) for written in self._written]
        self._levels = [np.unique(secret.values.astype(np.float32)) for secret in hidden.secrets]
        self._spectra: dict[tuple[int, int], NDArray[np.complex128]] = {}
        self._hashes: dict[int, list[NDArray[np.uint64]]] = {}

    def told_by(self, values: Floats, *, slide: bool = True) -> str | None:
        """What a sequence of numbers of which nothing is known tells.

        Args:
            values: (N,); what is not finite is left out.
            slide: whether it is compared at other places than its beginning, which takes the longest.

        Returns:
            What it tells, in words without any of it; None: nothing.
        """
        if not np.isfinite(values).all():
            values = values[np.isfinite(values)]
        if len(values) < SHORTEST or (values == values[0]).all():
            return None
        rows = len(self._hidden.ids)
        if len(values) == rows and (told := self._in_order(values)):
            return told
        if len(values) != rows and slide and (told := self._slid(values)):
            return told
        return self._run(values) or shuffled(values, self._hidden.answers)

    def _in_order(self, values: Floats) -> str | None:
        aligned = np.empty_like(values)
        for written in self._written:
            aligned[written.order] = values
            beyond = strongest(aligned, written.secret.facets) > BEYOND_CHANCE
            if (beyond or determines(aligned, written.secret.values)) and not self._hidden.handed_out(
                aligned
            ):
                return f"{written.secret.name}, in the order of {written.how}"
        return None

    def _slid(self, values: Floats) -> str | None:
        """Of another length: a piece of a secret, or the secret with something before or behind."""
        if not SHORTEST_SLIDE <= min(len(values), len(self._hidden.ids)) <= len(values) <= LONGEST_SLIDE:
            return None
        longer = len(values) > len(self._hidden.ids)
        size = len(self._hidden.ids) if longer else len(values)
        padded = 1 << (len(values) + len(self._hidden.ids)).bit_length()
        own = _centred(values)
        spectrum = np.fft.rfft(own, padded)
        for number, written in enumerate(self._written):
            other = self._centred[number]
            if (number, padded) not in self._spectra:
                self._spectra[number, padded] = np.fft.rfft(other, padded)
            spectra = (spectrum, self._spectra[number, padded])
            hay, needle = (own, other) if longer else (other, own)
            product = np.fft.irfft(spectra[not longer] * np.conj(spectra[longer]), padded)
            if _best_place(product, hay, needle) > SLIDING * math.sqrt(1 / size):
                return f"{written.secret.name} or a part of them, in the order of {written.how}"
        return None

    def _run(self, values: Floats) -> str | None:
        """Neighbours that are equal to those of a secret, in float32, as either may be stored."""
        with np.errstate(over="ignore"):
            sought = values.astype(np.float32)
        for secret, levels in zip(self._hidden.secrets, self._levels, strict=True):
            size = _longest_by_chance(secret.values, len(values))
            if size is None or size > min(len(values), len(secret.values)):
                continue
            at = np.minimum(np.searchsorted(levels, sought), len(levels) - 1)
            known = np.where(levels[at] == sought, at + 1, 0).astype(np.uint64)
            clear = _windows_without(known == 0, size)
            if not clear.any():
                continue
            hay = _hashed(known, size)[clear]
            if size not in self._hashes:
                self._hashes[size] = [_hashed(written.codes, size) for written in self._written]
            for written, needles in zip(self._written, self._hashes[size], strict=True):
                if written.secret is secret and np.isin(hay, needles).any():
                    return f"a run of {size} or more of {secret.name}, in the order of {written.how}"
        return None


def _ways_to_write(hidden: Hidden) -> Iterator[Written]:
    for secret in hidden.secrets:
        codes = np.unique(secret.values.astype(np.float32), return_inverse=True)[1].astype(
            np.uint64
        ) + np.uint64(1)
        for name, forwards in hidden.orders:
            for way, order in (("", forwards), (", backwards", forwards[::-1])):
                yield Written(secret, name + way, order, secret.values[order], codes[order])


def _centred(values: Floats) -> Floats:
    """Ranks, from -1 to 1, with mean 0."""
    ranked = ranks(values)
    ranked -= ranked.mean()
    return ranked / max(float(np.abs(ranked).max()), 1.0)


def _best_place(product: Floats, hay: Floats, needle: Floats) -> float:
    """The largest correlation of a needle with any window of the hay.

    Args:
        product: their sums of products at each place, and more behind.
        hay: (L,) centred.
        needle: (S,) centred, no longer.
    """
    size = len(needle)
    sums, squares = (np.concatenate([[0.0], np.cumsum(each)]) for each in (hay, hay**2))
    spread = (squares[size:] - squares[:-size]) - (sums[size:] - sums[:-size]) ** 2 / size
    norm = math.sqrt(float(needle @ needle))
    flat = size * FLAT
    return float((np.abs(product[: len(spread)]) / (norm * np.sqrt(np.maximum(spread, flat)))).max())


def _longest_by_chance(secret: Floats, length: int) -> int | None:
    """How many neighbours are never equal by chance anywhere in a sequence of that length."""
    shares = np.unique(secret, return_counts=True)[1] / len(secret)
    alike = -math.log(float(np.sum(shares**2)))
    return None if alike <= 0 else math.ceil((RARE + math.log(len(secret)) + math.log(length)) / alike)


def _windows_without(marked: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    count = np.concatenate([[0], np.cumsum(marked)])
    clear: NDArray[np.bool_] = count[size:] == count[:-size]
    return clear


def _hashed(codes: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """A hash of each window of `size` codes."""
    hashed = np.zeros(len(codes) - size + 1, np.uint64)
    for place in range(size):
        hashed = hashed * _MULTIPLIER + codes[place : len(hashed) + place]
    return hashed


def shuffled(values: Floats, answers: Secret) -> str | None:
    """Whether a sequence is the answers in any order, or has them in any order at one place."""
    told = f"{answers.name} in another order"
    for window in _windows_of_the_same_sums(values, answers.values):
        ours, theirs = (np.sort(each.astype(np.float32)) for each in (window, answers.values))
        if np.array_equal(ours, theirs) and _is_telling(answers):
            return told
    if len(values) == len(answers.values) and not answers.named:
        if _same_multiplicities(values, answers.values):
            return f"{told}, scaled"
        if _too_much_alike(values, answers.values):
            return f"{told}, scaled or rounded"
    return None


def _windows_of_the_same_sums(values: Floats, answers: Floats) -> Iterator[Floats]:
    size = len(answers)
    if len(values) < size:
        return
    scale = float(np.abs(answers).max()) or 1.0
    clipped = np.clip(values / scale, -2.0, 2.0)  # what lies outside is no answer
    sums, squares = (np.concatenate([[0.0], np.cumsum(each)]) for each in (clipped, clipped**2))
    wanted = answers / scale
    same = np.abs(sums[size:] - sums[:-size] - wanted.sum()) < 1e-6 * size
    same &= np.abs(squares[size:] - squares[:-size] - (wanted**2).sum()) < 1e-6 * size
    for start in np.flatnonzero(same)[:100]:
        yield values[start : start + size]


def _is_telling(answers: Secret) -> bool:
    """Whether a column of the same values must have been made from the answers.

    Classes that are all as frequent tell nothing by their counts, and of a few classes the counts may be the
    same by chance; numbers from 1 to N in any order are anybody's.
    """
    counts = np.unique(answers.values, return_counts=True)[1]
    if answers.named or len(counts) < MANY_VALUES:
        by_chance = -0.5 * float(np.log(2 * math.pi * np.sort(counts)[:-1]).sum())
        return bool(counts.max() - counts.min() > 1) and -by_chance > RARE
    steps = np.diff(np.sort(answers.values))
    return not np.allclose(steps, steps[0])


def _same_multiplicities(values: Floats, answers: Floats) -> bool:
    ours, theirs = (np.unique(each, return_counts=True)[1] for each in (values, answers))
    if len(ours) != len(theirs) or not (np.array_equal(ours, theirs) or np.array_equal(ours, theirs[::-1])):
        return False
    kinds = np.bincount(theirs)
    arrangements = math.lgamma(len(theirs) + 1) - sum(math.lgamma(kind + 1) for kind in kinds.tolist())
    return arrangements > RARE


def _too_much_alike(values: Floats, answers: Floats) -> bool:
    ours = np.sort(values)
    if min(len(np.unique(ours)), len(np.unique(answers))) < MANY_VALUES:
        return False
    if _distance(np.linspace(0, 1, len(ours)), np.sort(answers)) <= ALIKE:
        return False  # answers at even steps: so is any row of numbers
    with np.errstate(all="ignore"):  # the largest numbers that there are can have no distance
        return any(
            _distance(side, theirs) <= ALIKE
            for theirs in _transformed(answers)
            for side in (ours, -ours[::-1])
        )


def _transformed(answers: Floats) -> Iterator[Floats]:
    """The answers (N,), sorted, on each scale that somebody may write them on."""
    yield np.sort(answers)
    if answers.min() >= 0:
        yield np.sort(np.sqrt(answers))
        yield np.sort(np.log1p(answers))
    if answers.min() > 0:
        yield np.sort(np.log(answers))
        yield np.sort(-1 / answers)
    if np.abs(answers).max() < 300:  # noqa: PLR2004  exp of more overflows
        yield np.sort(np.exp(answers))


def _distance(ours: Floats, theirs: Floats) -> float:
    """Kolmogorov's distance of two sorted samples (N,), after the best scaling, in its standard errors.

    It is taken between the values that occur in `ours`, so that rounding makes none.
    """
    slope, offset = np.polyfit(theirs, ours, 1)
    if slope <= 0:
        return math.inf
    levels = np.unique(ours)
    cuts = (levels[1:] + levels[:-1]) / 2
    below_ours, below_theirs = np.searchsorted(ours, cuts), np.searchsorted(slope * theirs + offset, cuts)
    return float(np.abs(below_ours - below_theirs).max()) / len(ours) / math.sqrt(2 / len(ours))
