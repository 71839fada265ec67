"""What all pages share: templates, the style sheet, and a policy under which nothing else runs or loads."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.host.report.figures import better, duration, figure, memory, points
from harness.host.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

# In a script element "</script" and "<!--" act; in JSON these characters stand within texts alone.
_INERT = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def page(template: str, script: str | None, context: Mapping[str, Any]) -> str:
    """A whole HTML document that needs no other file.

    Args:
        template: the name of one that extends ``frame.html.jinja``.
        script: the name of the script that it runs, in ``assets``; None: none may run.
        context: what the template shows; all text in it is escaped.

    Raises:
        jinja2.UndefinedError: the template names something that the context does not have.
    """
    style = _asset("page.css")
    code = _asset(script) if script else ""
    return (
        _templates()
        .get_template(template)
        .render(
            **context,
            policy=policy(style, code),
            style=Markup(style),  # noqa: S704  # our own file
            script=Markup(code),  # noqa: S704  # likewise
        )
    )


def policy(style: str, script: str) -> str:
    """The content security policy under which exactly this style and this script work, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source(style)}",
            f"script-src {_source(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def embedded_json(data: object) -> Markup:
    """Data for a script element, which no text in it can end.

    Raises:
        ValueError: a figure is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_INERT))  # noqa: S704  # no character of markup is left


def _source(text: str) -> str:
    if not text:
        return "'none'"
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _dash(text: str) -> str:
    """What stands for nothing: a dash, where lines of plain text have a hyphen."""
    return "\N{EN DASH}" if text == "-" else text


def _points(value: float | None) -> str:
    return "-" if value is None else points(value)


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "better": better,
        "dash": _dash,
        "duration": duration,
        "figure": figure,
        "memory": memory,
        "points": _points,
        "printable": printable,
    }
    return environment
