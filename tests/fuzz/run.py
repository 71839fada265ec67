"""Fuzzes one target: ``python -m tests.fuzz.run TARGET --executions N``.

With atheris installed the inputs are guided by coverage; without it, they are random edits of the seeds. The
input that breaks something is written to the corpus folder, and its path is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz import corpus
from tests.fuzz.mutation import mutated

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MEMORY = 2 << 30
INSTRUMENTED = ["harness.protocol", "harness.host", "tomllib", "zipfile", "tarfile", "json"]


def main() -> int:
    """Read the command line and fuzz; 0: nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--corpus", type=Path, help="where new inputs are kept; a temporary folder without it"
    )
    parser.add_argument("--engine", choices=("auto", "atheris", "random"), default="auto")
    options = parser.parse_args()
    if options.corpus is None:
        options.corpus = Path(tempfile.mkdtemp(prefix="fuzz-"))
    options.corpus.mkdir(parents=True, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    has_atheris = importlib.util.find_spec("atheris") is not None
    if options.engine == "atheris" and not has_atheris:
        parser.error("atheris is not installed; run: .venv/bin/pip install atheris")
    return _guided(options) if has_atheris and options.engine != "random" else _random(options)


def _guided(options: argparse.Namespace) -> int:
    """Fuzz with atheris, which ends the process itself."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = importlib.import_module("tests.fuzz.targets").TARGETS[options.target]
    for number, seed in enumerate(corpus.seeds(options.target)):
        (options.corpus / f"seed-{number}").write_bytes(seed)
    dictionary = options.corpus.with_name(options.corpus.name + ".dict")
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens if len(token) < 60))
    arguments = [
        sys.argv[0],
        f"-runs={options.executions}",
        f"-seed={options.seed}",
        f"-dict={dictionary}",
        f"-artifact_prefix={options.corpus}/",
        "-max_len=16384",
        "-rss_limit_mb=0",  # RLIMIT_DATA, above, is an exception that names the line
        "-print_final_stats=1",
        "-verbosity=0",
        str(options.corpus),
    ]
    atheris.Setup(arguments, _timed(target.check, factor=20))
    atheris.Fuzz()
    return 0


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _timed(check: Callable[[bytes], None], factor: float = 1) -> Callable[[bytes], None]:
    """`check`, which a slow input breaks too; `factor` is what instrumentation costs at most."""

    def one_input(data: bytes) -> None:
        with corpus.Stopwatch(factor):
            check(data)

    return one_input


def _random(options: argparse.Namespace) -> int:
    target = importlib.import_module("tests.fuzz.targets").TARGETS[options.target]
    check = _timed(target.check)
    seeds = corpus.seeds(options.target)
    started = time.monotonic()
    for data in mutated(seeds, target.tokens, options.executions, options.seed):
        try:
            check(data)
        except Exception:
            path = options.corpus / f"crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"
            path.write_bytes(data)
            print(f"the input is kept as {path}", file=sys.stderr)  # noqa: T201  a command's output
            raise
    seconds = time.monotonic() - started
    rate = options.executions / seconds
    print(f"{options.target}: {options.executions} executions, {rate:.0f} a second")  # noqa: T201  likewise
    return 0


if __name__ == "__main__":
    sys.exit(main())
