"""What goes wrong in student code, told as an outcome, a place and a hint that a first-year can act on."""

from __future__ import annotations

import errno
import os
import re
import traceback
from dataclasses import dataclass

import torch

from harness.protocol import MEMORY_HINT, PROCESS_HINT, Outcome

SCRATCH_FOLDER = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  a sandbox has a /tmp of its own
SUBMISSION_FOLDER = f"{SCRATCH_FOLDER}/submission"


class Finding(Exception):  # noqa: N818  a finding about a submission, not an error of ours
    """A named problem of the submission; it ends the phase."""

    def __init__(self, outcome: Outcome, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the submission."""

    file: str
    line: int


def place_of(error: BaseException) -> Place | None:
    """The innermost line of the submission that led to `error`; None if none did."""
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(SUBMISSION_FOLDER):
        return Place(_inside(error.filename), error.lineno or 1)
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(SUBMISSION_FOLDER):
            found = Place(_inside(frame.filename), frame.lineno or 1)
    cause = error.__cause__
    return found or (place_of(cause) if cause is not None and cause is not error else None)


def _inside(filename: str) -> str:
    return filename.removeprefix(SUBMISSION_FOLDER).lstrip("/")


def explain(error: BaseException, default: Outcome = Outcome.RUNTIME_ERROR) -> Finding:
    """Turn any exception of student code into a finding.

    Args:
        error: what was raised.
        default: the outcome where the error's kind does not decide.
    """
    if isinstance(error, Finding):
        return error
    text = _text_of(error)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return Finding(
            Outcome.RUNTIME_ERROR,
            f"your code ended the program ({type(error).__name__})",
            "remove exit(), quit() and sys.exit(): the harness runs the loops and must go on after your code",
        )
    outcome, hint = _classify(error, text, default)
    return Finding(outcome, text, hint)


def _classify(error: BaseException, text: str, default: Outcome) -> tuple[Outcome, str]:
    """The outcome that an exception stands for, and what to do about it."""
    if _is_out_of_memory(error):
        return Outcome.MEMORY_LIMIT, MEMORY_HINT
    if _is_out_of_processes(error):
        return Outcome.PROCESS_LIMIT, PROCESS_HINT
    if _NO_ROOM_FOR_BATCHES.search(text):
        return Outcome.OUTPUT_LIMIT, WORKERS_HINT
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Outcome.OUTPUT_LIMIT, "write less to /tmp and /dev/shm, or delete what is no longer needed"
    if "before Module.__init__() call" in text:
        return Outcome.CONTRACT_ERROR, NO_SUPER_HINT
    syntax = isinstance(error, SyntaxError)
    return (Outcome.IMPORT_ERROR, SYNTAX_HINT) if syntax else (default, _hint_for(text))


_IN_A_WORKER = re.compile(r"Caught \w+ in DataLoader worker process \d+\.\nOriginal Traceback")


def _text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  a student's exception class may raise anything in __str__
        text = "(its text cannot be shown)"
    if _IN_A_WORKER.match(text):  # the whole traceback inside the worker, whose last line is what happened
        text = text.rstrip().splitlines()[-1] + " (in a worker of a DataLoader)"
    else:
        text = f"{type(error).__name__}: {text}"
    return text.replace(SUBMISSION_FOLDER + "/", "")[:2000]


_NO_ROOM_FOR_BATCHES = re.compile(r"shared memory\(shm\).*No space left on device")
WORKERS_HINT = "workers hand batches over in /dev/shm, which is full: use num_workers=0 or smaller batches"
SYNTAX_HINT = "Python cannot read this line; run `python model.py` to see why"
NO_SUPER_HINT = "call super().__init__() in the first line of MyModel.__init__"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in str(error) or "bad_alloc" in str(error)
    )


def _is_out_of_processes(error: BaseException) -> bool:
    if isinstance(error, BlockingIOError):
        return True
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


_HINTS = (
    (
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        "a layer expects {2} inputs and got {1}; set its input size (often in [model] of config.toml) to {1}",
    ),
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
        "two tensors of different sizes ({0} and {1}) meet here; print their shapes",
    ),
    (
        r"expected scalar type (\w+) but found (\w+)|must have the same dtype",
        "the data are float32; make every tensor of yours float32 too (x.float())",
    ),
    (
        r"target with class probabilities",
        "the output is not one score for each class here: return the same shape in training and in testing",
    ),
    (
        r"Target (-?\d+) is out of bounds",
        "{0} is no class: targets are numbers from 0 to one less than the number of classes",
    ),
    (
        r"does not require grad",
        "no parameter leads to the loss: is the output detached, computed under no_grad or made by NumPy?",
    ),
    (
        r"modified by an inplace operation",
        "replace in-place operations (x += ..., x[...] = ..., relu_()) by ones that make a new tensor",
    ),
    (
        r"No module named '([\w.]+)'",
        "{0} is not here: a submission can import torch, numpy, pandas, Python's own modules and its files",
    ),
    (
        r"Name or service not known|Temporary failure in name resolution|Network is unreachable|URLError",
        "there is no network in the sandbox, so nothing can be downloaded",
    ),
    (
        r"no internet connection",  # torch.hub's own words
        "there is no network in the sandbox, so nothing can be downloaded",
    ),
    (
        r"Expected all tensors to be on the same device",
        "create tensors on x.device, or register them as buffers",
    ),
)


def _hint_for(text: str) -> str:
    for pattern, hint in _HINTS:
        match = re.search(pattern, text)
        if match:
            return hint.format(*match.groups())
    return ""
