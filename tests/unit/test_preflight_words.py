"""What a preflight claims is read under caps and told in the host's words, whatever it is."""

from __future__ import annotations

import json
import math
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.host.preflight.claims import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_BYTES,
    MOST_CLAIMS,
    MOST_NAMES,
    Claim,
    NoClaimsError,
    read_claims,
)
from harness.host.preflight.words import FAMILIES, KINDS, REMEDIES, SKIPPED, left_out, said
from harness.host.records import Place

WORDS = {"names", "text", "operation", "remedy"}
GUEST = Path(harness.__file__).parent / "guest"


def payload(*found: Any, skipped: Any = (), measured: Any = None) -> bytes:
    """What a sandbox could send."""
    whole = {"findings": list(found), "skipped": list(skipped), "measured": measured or {}}
    return json.dumps(whole).encode()


def full(code: str) -> dict[str, Any]:
    """A finding with everything that its words could ask for."""
    fields = {name for _, name, _, _ in string.Formatter().parse(" ".join(texts(code))) if name} - WORDS
    return {"code": code, "numbers": dict.fromkeys(fields, 2.5), "names": ["one", "two"], "text": "log"}


def texts(code: str) -> tuple[str, str, str]:
    """The templates of a kind."""
    kind = KINDS[code]
    return kind.title, kind.message, kind.hint


@pytest.mark.parametrize("code", KINDS)
def test_every_kind_is_told_from_what_it_needs(code: str) -> None:
    """The numbers that its sentences have are those that it needs, and no brace is left in them."""
    used = {name for _, name, _, _ in string.Formatter().parse(" ".join(texts(code))) if name} - WORDS
    told = [said(claim) for claim in read_claims(payload(full(code))).found]
    words = told[0]

    assert used <= {*KINDS[code].needs, "loss"}
    assert words is not None
    assert (words.code, words.title != "", words.hint != "") == (code, True, True)
    assert not set("{}") & set(words.title + words.message + words.hint)


@pytest.mark.parametrize("code", KINDS)
def test_a_claim_without_its_numbers_or_names_is_not_told(code: str) -> None:
    """A sentence with a hole in it would be worse than none."""
    for missing in KINDS[code].needs:
        claim = full(code)
        del claim["numbers"][missing]
        assert [said(each) for each in read_claims(payload(claim)).found] == [None]
    nameless = read_claims(payload(full(code) | {"names": []})).found[0]
    assert (said(nameless) is None) == ("{names}" in KINDS[code].message)


def test_the_guest_names_no_kind_that_has_no_words() -> None:
    """Every code that is written in the guest's modules is known here, and the other way round."""
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted(GUEST.glob("*.py")))
    made = {"learning_rate_high", "learning_rate_low"}  # put together from a direction

    assert [code for code in KINDS if code not in made and f'"{code}"' not in sources] == []
    assert [code for code in SKIPPED if f'"{code}"' not in sources] == []
    assert 'f"learning_rate_{rate.direction}"' in sources
    assert set(FAMILIES.values()) == set(REMEDIES)


def test_names_and_operations_are_quoted_and_counted() -> None:
    """A student's names stand in quotes, a few of them, with the number of the rest."""
    names = [f"layer{n}.weight" for n in range(9)]
    claim = Claim("no_gradient", {"count": 9}, tuple(names))
    words = said(claim)

    assert words is not None
    assert "'layer0.weight', 'layer1.weight', 'layer2.weight', 'layer3.weight' and 5 more" in words.message


def test_a_remedy_goes_with_the_operation() -> None:
    """What helps against log of 0 does not help against a division."""
    numbers = {"zeros": 3, "negatives": 0, "rows": 2, "of": 8, "batch": 4}
    told = {name: said(Claim("nan_in_forward", numbers, text=name)) for name in ("log", "rdiv", "tan")}
    log, division, other = (told[name] for name in ("log", "rdiv", "tan"))

    assert log is not None
    assert division is not None
    assert other is not None
    assert "log1p" in log.hint
    assert "divisor" in division.hint
    assert other.hint not in {log.hint, division.hint}
    assert "'log' is the first" in log.message
    assert "(in 2 of 8 rows of batch 4)" in log.message


def test_what_was_left_out_is_told_by_its_reason() -> None:
    """One sentence for each reason; what is not known is left away."""
    told = left_out(
        {"overfit": "time", "pace": "findings", "learning_rate": "time", "x": "time", "eval": "y"}
    )

    assert told == (
        f"Not looked at, for want of time: {SKIPPED['overfit']}, {SKIPPED['learning_rate']}",
        "Not looked at until this is mended: how long the training would take",
    )


def test_the_first_of_each_kind_is_kept_in_order() -> None:
    """A second claim of a kind cannot replace the first."""
    claims = read_claims(payload(*({"code": code, "text": str(n)} for n, code in enumerate("abab"))))

    assert [(claim.code, claim.text) for claim in claims.found] == [("a", "0"), ("b", "1")]


def test_every_part_is_capped() -> None:
    """Lists, names, texts and numbers have an end, and a place must be one."""
    claim = {
        "code": "no_gradient",
        "names": ["n" * 1000] * 100,
        "text": "t" * 10_000,
        "place": ["model.py", 0],
        "numbers": {str(n): n for n in range(1000)},
    }
    found = read_claims(payload(claim, *({"code": str(n)} for n in range(1000)))).found

    assert len(found) == MOST_CLAIMS
    assert (len(found[0].names), len(found[0].names[0])) == (MOST_NAMES, LONGEST_NAME)
    assert len(found[0].text) == LONGEST_TEXT
    assert len(found[0].numbers) == 24
    assert found[0].place is None
    assert read_claims(payload({"code": "a", "place": ["model.py", 7]})).found[0].place == Place(
        "model.py", 7
    )


@pytest.mark.parametrize(
    "junk",
    [
        *(b"", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"findings": 1}'),
        b'{"findings": [], "skipped": {}, "measured": []}',
        b" " * (MOST_BYTES + 1),
        b"1" * 10_000,
    ],
)
def test_bytes_of_another_form_are_refused(junk: bytes) -> None:
    """They are no claims, and none is guessed."""
    with pytest.raises(NoClaimsError):
        read_claims(junk)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "-1", '"1"', "null"]
)
def test_a_measurement_is_a_finite_number_that_is_not_negative(number: str) -> None:
    """Anything else was not measured."""
    whole = f'{{"findings": [], "skipped": [], "measured": {{"epoch_seconds": {number}, "good": 1}}}}'

    assert read_claims(whole.encode()).measured == {"good": 1.0}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("code", "numbers", "names", "place", "text")
CLAIM = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(KEYS, JSON), "code": st.sampled_from([*KINDS]) | JSON}
)


@given(found=st.lists(CLAIM | JSON, max_size=4), skipped=st.lists(JSON, max_size=3), measured=JSON)
def test_whatever_comes_is_told_or_refused(found: list[Any], skipped: list[Any], measured: Any) -> None:
    """Nothing that JSON can say makes the host fail, or puts a number that is not finite into its words."""
    sent = json.dumps({"findings": found, "skipped": skipped, "measured": measured}).encode()
    try:
        claims = read_claims(sent)
    except NoClaimsError:
        return
    assert all(math.isfinite(number) for claim in claims.found for number in claim.numbers.values())
    assert all(words is None or words.title for words in map(said, claims.found))
    assert isinstance(left_out(claims.skipped), tuple)
