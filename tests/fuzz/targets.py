"""What is fuzzed: each target takes any bytes, and raises only where a promise about them is broken.

A target lets the exceptions through that its code documents, and asserts what holds for everything that is
accepted. Any other exception is a finding.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.host.assignment import Assignment, load_assignment
from harness.host.config import TrainConfig, parse_config
from harness.host.errors import InvalidSubmissionError
from harness.host.intake import MAX_DEPTH, MAX_FILES, MAX_NAME_BYTES
from harness.host.submission import load_submission
from harness.protocol import MAGIC, PREFIX, Decoder, Message, ProtocolError, encode, read_message
from tests.fuzz.claims import check_claims
from tests.fuzz.notebooks import check_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())  # noqa: S108  in memory: a file for each execution
MAX_BLOB = 1000
MAX_HEADER = 1 << 16
MAX_SUBMISSION = 64 << 10
MODEL = b"class MyModel: pass\n"


@dataclass(frozen=True, slots=True)
class Target:
    """One parser under test.

    Attributes:
        check: takes an input; whatever it raises is a finding.
        tokens: pieces that inputs of this kind are made of, for mutation.
    """

    check: Callable[[bytes], None]
    tokens: tuple[bytes, ...] = ()


def check_protocol(data: bytes) -> None:
    """A stream is messages or a `ProtocolError`, in whatever pieces it arrives.

    The bytes are taken once as they are, and once as a header with the right prefix and all that it
    announces, since few mutations would get the length right.
    """
    for stream in (data, PREFIX.pack(MAGIC, len(data)) + data + bytes(2 * MAX_BLOB)):
        whole, whole_failed = _decoded(stream, len(stream) or 1)
        piecemeal, piecemeal_failed = _decoded(stream, max(7, len(stream) // 50))
        # Not compared as they are: a claimed NaN is not equal to itself.
        assert (repr(whole), whole_failed) == (repr(piecemeal), piecemeal_failed)
        for message in whole:
            _check_message(message)
        assert repr(_first(stream)) == repr(whole[0] if whole else None)


def _decoded(stream: bytes, step: int) -> tuple[list[Message], bool]:
    decoder = Decoder(max_blob_bytes=MAX_BLOB, max_header=MAX_HEADER)
    messages: list[Message] = []
    try:
        for start in range(0, len(stream), step):
            messages += decoder.feed(stream[start : start + step])
            assert len(decoder._buffer) < decoder._wanted <= max(MAX_HEADER, MAX_BLOB)  # the most it keeps
    except ProtocolError as error:
        str(error)
        return messages, True
    return messages, False


def _first(stream: bytes) -> Message | None:
    rest = memoryview(stream)

    def read_exactly(size: int) -> bytes:
        nonlocal rest
        if size > len(rest):
            raise EOFError
        piece, rest = bytes(rest[:size]), rest[size:]
        return piece

    try:
        return read_message(read_exactly, max_blob_bytes=MAX_BLOB, max_header=MAX_HEADER)
    except (ProtocolError, EOFError):
        return None


def _check_message(message: Message) -> None:
    assert sum(len(blob) for blob in message.blobs.values()) <= MAX_BLOB
    try:
        wire = b"".join(bytes(part) for part in encode(message))
    except ValueError:
        json.dumps(dict(message.fields))  # NaN and Infinity can be claimed, but are never sent on
        return
    (again,) = Decoder(max_blob_bytes=MAX_BLOB).feed(wire)
    assert again == message


@cache
def assignment() -> Assignment:
    """The example assignment: real ranges, real default loss."""
    return load_assignment(ROOT / "assignments" / "hw1-bikes")


def check_config(data: bytes) -> None:
    """A ``config.toml`` is refused with a message, or is within the ranges and can be sent on as JSON."""
    _check_submission({"model.py": MODEL, "config.toml": data})


def _check_submission(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        _check_loaded(Path(folder))


def _check_loaded(path: Path) -> None:
    try:
        submission = load_submission(path, max_bytes=MAX_SUBMISSION)
    except InvalidSubmissionError as error:
        _check_refusal(error)
        return
    assert submission.files.keys() >= {"model.py", "config.toml"}
    assert sum(map(len, submission.files.values())) <= MAX_SUBMISSION
    assert len(submission.files) <= MAX_FILES
    for name in submission.files:
        _check_name(name)
    try:
        config = parse_config(submission.config, assignment())
    except InvalidSubmissionError as error:
        _check_refusal(error)
        return
    _check_accepted(config)


def _check_refusal(error: InvalidSubmissionError) -> None:
    assert error.message
    assert error.hint
    assert len(error.message) < 8000
    assert "\n" not in error.message


def _check_name(name: str) -> None:
    parts = name.split("/")
    assert 0 < len(parts) <= MAX_DEPTH
    assert name == "config.toml" or name.endswith(".py")
    for part in parts:
        assert part not in {"", ".", ".."}
        assert len(part.encode()) <= MAX_NAME_BYTES
        assert "\\" not in part
        assert not any(unicodedata.category(character).startswith("C") for character in part)


def _check_accepted(config: TrainConfig) -> None:
    table = config.model_dump()
    assert TrainConfig.model_validate(json.loads(json.dumps(table, allow_nan=False))) == config
    assert config.loss is not None
    for key, (low, high) in assignment().ranges.items():
        table_name, _, name = key.partition(".")
        found = table[table_name]
        if name:
            arguments = found if table_name == "model" else (found or {}).get("arguments", {})
            found = arguments.get(name)
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert low <= value <= high


def check_zip(data: bytes) -> None:
    """A zip is refused with a message, or its files have safe names and keep to the caps."""
    _check_archive(data, ".zip")


def check_gzip(data: bytes) -> None:
    """The same of any bytes that are called a ``.tar.gz``."""
    _check_archive(data, ".tar.gz")


def check_tar(data: bytes) -> None:
    """The same of any bytes inside sound gzip, which mutations would hardly ever leave sound."""
    _check_archive(gzip.compress(data, 1, mtime=0), ".tar.gz")


def check_notebook(data: bytes) -> None:
    """The same of any bytes that are called an ``.ipynb``."""
    _check_archive(data, ".ipynb")


def _check_archive(data: bytes, ending: str) -> None:
    with tempfile.NamedTemporaryFile(dir=SCRATCH, suffix=ending) as file:
        file.write(data)
        file.flush()
        _check_loaded(Path(file.name))


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in text.split())


def _json_tokens() -> Iterator[bytes]:
    yield from _words('"kind" "fields" "blobs" "payload" "log" [] {} null true NaN Infinity -Infinity 1e999')
    yield from (b'"\\ud800"', b"9" * 4300, b"[" * 500, b'[["a",1]]', b"-1", b"0.5", b"\xef\xbb\xbf", MAGIC)
    yield from _words(
        '"result" "epoch" "outcome" "ok" "message" "hint" "file" "line" "best_epoch" "train_loss" '
        '"valid_loss" "seconds" "nan" "inf" "runtime_error" "memory_limit" "model.py"'
    )


def _toml_tokens() -> Iterator[bytes]:
    yield from _words(
        "[model] [optimizer] [scheduler] [loss] [[model]] assignment seed epochs batch_size valid_ratio "
        'early_stop grad_clip name lr momentum betas "Adam" "SGD" "StepLR" "MSELoss" "HuberLoss" step_size '
        "gamma milestones inf nan -inf true 1979-05-27 07:32:00 0xff 1e400 99999999999999999999 {} [[]] "
        "__class__ .a= ''' \"\"\" \\uD800 \\U0010FFFF"
    )
    yield from (b" = ", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"0x" + b"f" * 300, b"[" * 300)


def _archive_tokens() -> Iterator[bytes]:
    yield from _words("model.py config.toml ../ / .py ustar L x g K size= path= C:\\ a.PY A.py")
    yield from (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\xff" * 4, b"\xff" * 8, b"\0" * 512)
    yield from (b"12 path=a.py\n", b"11 size=99\n", b"\x1f\x8b\x08", b"\x80" + b"\0" * 10 + b"\1", b"\r")


def _notebook_tokens() -> Iterator[bytes]:
    yield from _words(
        '"cells" "cell_type" "code" "markdown" "raw" "source" "input" "metadata" "nbformat" "worksheets" 4 3 '
        '"kernelspec" "language_info" "language" "name" "python" "R" [] {} null true NaN Infinity 1e999 '
        "\\ud800 \\u0000 \\n \\r\\n"
    )
    yield from (b"[" * 500, b'{"a":' * 300, b"9" * 4300, b"\xef\xbb\xbf", b"\xff\xfe", b'", "source": "')


def _cell_tokens() -> Iterator[bytes]:
    yield from _words(
        "MyModel MyDataset config class def import from as lambda if else elif try except for while with del "
        "global nonlocal async await yield return pass @ := ** // -> ... % %% %%time %%bash ! !! ? ?? "
        "__future__ annotations setattr dict( config[ 'epochs' 'optimizer' 'lr' torch.optim.SGD( torch nn "
        "True None 1e999 0xff f' b' r' \"\"\" ''' # \\ ( ) [ ] { } ; , : . = == += * - + type match case "
        "TYPE_CHECKING \u041c \uff2d"
    )
    yield from (b"\f\n", b"\n", b"\n    ", b"\t", b"\0", b" = ", b"(" * 300, b"-" * 2000, b"\\\n", b"\r")
    yield from (b"\nMyModel.f = g\n", b"\nx = !ls\n", b"\n%time\n", b"import a, b as c\n", b"\xe2\x80\xae")


TARGETS: dict[str, Target] = {
    "protocol": Target(check_protocol, tuple(_json_tokens())),
    "claims": Target(check_claims, tuple(_json_tokens())),
    "config": Target(check_config, tuple(_toml_tokens())),
    "zip": Target(check_zip, tuple(_archive_tokens())),
    "tar": Target(check_tar, tuple(_archive_tokens())),
    "gzip": Target(check_gzip, tuple(_archive_tokens())),
    "notebook": Target(check_notebook, tuple(_notebook_tokens())),
    "cells": Target(check_cells, tuple(_cell_tokens())),
}
