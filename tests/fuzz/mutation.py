"""Makes inputs out of seeds by random edits; the same seed number gives the same inputs on every machine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EDITS = (1, 1, 1, 2, 3, 6)
RUNS = (1, 1, 2, 4, 8, 16, 64)
EDGES = (0, 1, 0x20, 0x2F, 0x30, 0x5C, 0x7F, 0x80, 0xFF)


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` inputs: each a seed after one to six random edits.

    Args:
        seeds: sound and unsound inputs to begin with; at least one.
        tokens: pieces that are put in whole.
        count: how many inputs.
        seed: of the random choices.
    """
    random_source = random.Random(seed)  # noqa: S311  repeatable, not secret
    for _ in range(count):
        data = bytearray(random_source.choice(seeds))
        # Mostly one: an input that is nearly sound gets further than one that is broken at its start.
        for _ in range(random_source.choice(EDITS)):
            edit = random_source.choice(_EDITS)
            edit(data, random_source, seeds, tokens)
        yield bytes(data)


def _span(data: bytearray, source: random.Random) -> slice:
    start = source.randint(0, len(data))
    return slice(start, start + source.choice(RUNS))


def _change(
    data: bytearray, source: random.Random, _seeds: Sequence[bytes], _tokens: Sequence[bytes]
) -> None:
    if data:
        at = source.randrange(len(data))
        data[at] = source.choice((data[at] ^ 1 << source.randrange(8), source.choice(EDGES)))


def _put_token(
    data: bytearray, source: random.Random, _seeds: Sequence[bytes], tokens: Sequence[bytes]
) -> None:
    token = source.choice(tokens or (b"",))
    start = source.randint(0, len(data))
    data[start : start + source.choice((0, len(token)))] = token


def _remove(
    data: bytearray, source: random.Random, _seeds: Sequence[bytes], _tokens: Sequence[bytes]
) -> None:
    del data[_span(data, source)]


def _repeat(
    data: bytearray, source: random.Random, _seeds: Sequence[bytes], _tokens: Sequence[bytes]
) -> None:
    span = _span(data, source)
    data[span.start : span.start] = data[span] * source.randint(1, 8)


def _splice(data: bytearray, source: random.Random, seeds: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    other = source.choice(seeds)
    data[source.randint(0, len(data)) :] = other[source.randint(0, len(other)) :]


_EDITS = (_change, _change, _put_token, _put_token, _remove, _repeat, _splice)
