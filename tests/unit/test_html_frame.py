"""What all pages share: nothing in them acts but what the policy names."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from harness.host.report.html.board_page import board_page
from harness.host.report.html.frame import embedded_json, page
from harness.host.report.html.run_page import run_page
from tests.parsed_page import Element, parsed
from tests.sample_pages import HOSTILE, class_of, document_of, failed_document, view_of

PAGES = {
    "board": board_page(class_of(40, HOSTILE)),
    "empty board": board_page(view_of([])),
    "run": run_page(document_of(), "Homework 1", "epoch 1\n"),
    "failed run": run_page(failed_document(message="\n".join(HOSTILE)), "Homework 1", "\n".join(HOSTILE)),
}
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('<>&!-/\u2028\u2029\\"'))
GROUNDS = ("ground", "raised")
INKS = ("text", "muted", "accent", "second", "good", "bad")


@pytest.fixture(params=PAGES)
def document(request: pytest.FixtureRequest) -> Element:
    """Each kind of page."""
    return parsed(PAGES[request.param])


def everything(element: Element) -> list[Element]:
    """All elements of a page."""
    children = [child for child in element.children if isinstance(child, Element)]
    return [*children, *(below for child in children for below in everything(child))]


def source(element: Element) -> str:
    """How a policy names the text of an element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(element.raw.encode()).digest()).decode()}'"


def test_the_policy_names_exactly_what_is_embedded(document: Element) -> None:
    """The hashes are those of the page's one style and its one script; nothing else may load or run."""
    scripts = [script for script in document.all("script") if "type" not in script.attributes]
    (policy,) = (
        meta.attributes["content"]
        for meta in document.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src {source(document.one('style'))}",
        f"script-src {' '.join(map(source, scripts)) or repr('none')}",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_policy_stands_before_what_it_governs() -> None:
    """A policy in a meta element holds for what follows it alone."""
    for html in PAGES.values():
        assert html.index("Content-Security-Policy") < html.index("<style>")
        assert html.index('<meta charset="utf-8">') < 1024


def test_no_page_names_another_file(document: Element) -> None:
    """There is no address in a page but those of its own parts."""
    for element in everything(document):
        assert element.tag not in {"link", "img", "iframe", "object", "embed", "form", "base", "use"}
        for name, value in element.attributes.items():
            assert name not in {"src", "srcset", "action", "style", "data", "xlink:href"}
            assert not name.startswith("on")
            assert name != "href" or value.startswith("#")
    assert "url(" not in document.one("style").raw
    assert "@import" not in document.one("style").raw


def test_ids_are_unique_and_references_lead_somewhere(document: Element) -> None:
    """What a label, a link or a chart's description points at is there, once."""
    elements = everything(document)
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in elements:
        for name in ("aria-labelledby", "aria-controls", "for"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)
        assert element.attributes.get("href", "#").removeprefix("#") in {"", *ids}


def test_a_template_that_names_what_is_not_there_fails() -> None:
    """A mistake in a template is an error, not an empty place on a page."""
    with pytest.raises(UndefinedError):
        page("run.html.jinja", None, {"title": "Homework 1"})


@given(TEXT)
@example("</script><!--<script>")
@example("]]>&lt;\u2028")
def test_data_cannot_end_its_element(text: str) -> None:
    """Whatever a name holds, its JSON has no markup, and is read back as it was."""
    written = embedded_json({"name": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"name": text}


def test_what_is_not_finite_is_no_data() -> None:
    """JSON has no NaN, and a browser would read none of the rows."""
    with pytest.raises(ValueError, match="JSON"):
        embedded_json([float("nan")])


def test_hostile_text_is_no_element() -> None:
    """Names and logs add no element to a page that it would not have without them."""
    plain = parsed(board_page(class_of(40)))
    hostile = parsed(PAGES["board"])
    assert [element.tag for element in everything(hostile)] == [element.tag for element in everything(plain)]
    failed = parsed(PAGES["failed run"])
    expected = parsed(run_page(failed_document(message="x"), "Homework 1", "x"))
    assert [element.tag for element in everything(failed)] == [
        element.tag for element in everything(expected)
    ]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_has_enough_contrast(scheme: str) -> None:
    """Each colour of text on each ground reaches the 4.5 of WCAG AA."""
    style = parsed(PAGES["run"]).one("style").raw
    light, dark, paper = (
        dict(re.findall(r"--([\w-]+): (#\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    colours = light | {"light": {}, "dark": dark, "print": paper}[scheme]
    pairs = [(ink, ground) for ink in INKS for ground in GROUNDS] + [("warn", "warn-ground")]
    for ink, ground in pairs:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for ground in GROUNDS:
        assert contrast(colours["edge"], colours[ground]) >= 3.0, ground


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours. Source: WCAG 2.2, relative luminance."""
    lower, higher = sorted((luminance(first), luminance(second)))
    return (higher + 0.05) / (lower + 0.05)


def luminance(colour: str) -> float:
    """How bright a colour ``#rrggbb`` is, from 0 to 1."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in channels]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
