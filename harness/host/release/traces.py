"""Finds the key, digests of the answers, and the reference's own files in bytes and in text."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.host.release.hidden import Hidden

SHORTEST_FILE = 64  # bytes: shorter ones have nothing of their own
FEWEST_LINES = 8
SHORTEST_LINE = 16  # characters: shorter lines are in every config
MOST_OF_A_FILE = 0.8
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "sha3_256")
_SEPARATORS = re.compile(rb"0[xX]|\\x|[^0-9a-fA-F]+")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32,128}")


class Traces:
    """What to look for, made once for all files of a kit.

    Args:
        hidden: of the assignment.
    """

    def __init__(self, hidden: Hidden) -> None:
        self._hidden = hidden

    def in_bytes(self, data: bytes) -> Iterator[str]:
        """What of the reference stands in a file's bytes, in words without any of it."""
        if any(form in data for form in self._key_forms) or self._key_hex in _digits(data):
            yield "the key that splits the test rows"
        if any(form in data for form in self._digest_forms):
            yield "a digest of the answers' file or the key"
        for name, content in self._hidden.files.items():
            if len(content) >= SHORTEST_FILE and content.strip() in data:
                yield f"the reference's {name}"

    def in_text(self, text: str) -> Iterator[str]:
        """The same of its text, however lines are ended and indented."""
        if any(found.lower() in self._line_digests for found in _HEXADECIMAL.findall(text)):
            yield "a digest of one of the answers"
        here = {line.strip() for line in text.splitlines()}
        for name, lines in self._lines.items():
            if len(lines & here) >= MOST_OF_A_FILE * len(lines):
                yield f"the lines of the reference's {name}"

    @cached_property
    def _key_hex(self) -> bytes:
        return self._hidden.key.hex().encode()

    @cached_property
    def _key_forms(self) -> set[bytes]:
        key = self._hidden.key
        forms = {key, key[::-1], self._key_hex, str(int.from_bytes(key, "big")).encode()}
        return forms | {str(int.from_bytes(key, "little")).encode()} | _base64_forms(key)

    @cached_property
    def _digest_forms(self) -> set[bytes]:
        """Of the file with the answers, and of the key, as bytes and as it may be written."""
        forms: set[bytes] = set()
        answers = self._hidden.files.get(self._hidden.answers_file, b"")
        for content in {answers, answers.strip(), self._hidden.key, self._key_hex} - {b""}:
            for name in HASHES:
                digest = hashlib.new(name, content).digest()
                forms |= {digest, digest.hex().encode(), digest.hex().upper().encode()}
                forms |= _base64_forms(digest)
        return forms

    @cached_property
    def _line_digests(self) -> set[str]:
        """Hexadecimal digests of each row of the answers, as it is written and with its line feed."""
        lines = self._hidden.files.get(self._hidden.answers_file, b"").splitlines()[1:]
        return {
            hashlib.new(name, line + end).hexdigest()
            for line in lines
            for end in (b"", b"\n")
            for name in HASHES
        }

    @cached_property
    def _lines(self) -> dict[str, set[str]]:
        """The lines of each file of text that has something of its own."""
        texts = {}
        for name, content in self._hidden.files.items():
            try:
                lines = {line.strip() for line in content.decode().splitlines()}
            except UnicodeDecodeError:
                continue
            lines = {line for line in lines if len(line) >= SHORTEST_LINE}
            if len(lines) >= FEWEST_LINES:
                texts[name] = lines
        return texts


def _digits(data: bytes) -> bytes:
    """All hexadecimal digits, without what may stand between them."""
    return _SEPARATORS.sub(b"", data).lower()


def _base64_forms(data: bytes) -> set[bytes]:
    """The base64 text of bytes at each place of a longer run, without its ends, where neighbours show."""
    forms = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
        inner = text[(8 * shift + 5) // 6 : len(text) - 2]
        forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms
