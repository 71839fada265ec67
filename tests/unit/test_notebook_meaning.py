"""What is taken of a notebook means what the notebook does, run from top to bottom; or the notes say why not.

Small random notebooks are run as a whole, and their ``model.py`` beside it: both models must say the same.
"""

from __future__ import annotations

import builtins
import random
import re
from contextlib import suppress
from typing import Any

import pytest

from harness.host.errors import InvalidSubmissionError
from harness.host.notebook.reading import read_notebook
from tests.notebooks import notebook

NUMBERS, FUNCTIONS, LISTS, CLASSES = "abcd", "fgh", "st", ("MyModel", "Net")
NOTEBOOKS = 1000
TOLD = (", which is left out", ": that is left out", "which no cell defines")
ADDRESS = re.compile(r" at 0x\w+")
FIRST = """\
a = b = c = d = 1
def f(x=1): return x
g = h = f
s = [1]
t = [2]
class Net:
    k = 0
    def value(self): return 0
def grow(x): x.append(3)
def patch(x): x.k = 7
"""
# A dollar is an expression; n, m are numbers, f is a function, t, u are lists, C, D are classes.
STATEMENTS = """\
{n} = $
--
{n} += $
--
{n}, {m} = $, $
--
{n} = {m} = $
--
def {f}(x=$): return x + $
--
{f} = lambda: $
--
{f} = {e}
--
if $ > 3:
    {n} = $
--
if $ > 3:
    {n} = $
else:
    {m} = $
--
try:
    import nothing_of_this_name
except ImportError:
    {n} = $
--
for {n} in range(2):
    {m} = {n}
--
{t} = [$]
--
{t}.append($)
--
{t} = {u}
--
{t} = {u} + [$]
--
{t} += [$]
--
{t}[0] = $
--
for i in range(2):
    {t}.append($)
--
print($)
--
class {C}:
    k = $
    {n} = {n}
    def value(self): return [self.k, self.{n}, $, $, list({t})]
--
class {C}({D}):
    k = $
--
{C} = {D}
--
{C}.k = $
--
{C}.value = lambda self: [self.k, $]
--
setattr({C}, 'k', $)
--
with open('/dev/null') as {n}: {n} = $
--
def {f}():
    global {n}
    {n} = $
    return {n}
--
def {f}():
    {t}.append($)
    return $
--
{n} = {f}()
--
@{t}.append
def {f}(x=$): return x
--
grow({t})
--
patch({C})
--
for x in [{t}, {u}]: x.append($)
--
x = [{t}, {u}]
x[0].append($)
--
if $ > 3:
    x = {t}
    x.append($)
--
if __name__ == '__main__':
    {n} = $
--
print({n} := $)
--
{n} = sum([{m} := $ for _ in range(2)])
"""
TEMPLATES = STATEMENTS.rstrip("\n").split("\n--\n")


def expression(source: random.Random, depth: int = 0) -> str:
    """A number, made of what a notebook has."""
    kind = source.randrange(9)
    if kind < 3 or depth > 2:
        return str(source.randrange(9))
    if kind < 6:
        return source.choice(NUMBERS)
    if kind == 6:
        return f"({expression(source, depth + 1)} + {expression(source, depth + 1)})"
    return f"{source.choice(FUNCTIONS)}()" if kind == 7 else f"len({source.choice(LISTS)})"


def statement(source: random.Random) -> str:
    """One of the templates, filled."""
    one = source.choice
    names = {"n": one(NUMBERS), "m": one(NUMBERS), "f": one(FUNCTIONS), "e": one(FUNCTIONS)}
    names |= {"t": one(LISTS), "u": one(LISTS), "C": one(CLASSES), "D": one(CLASSES)}
    text = source.choice(TEMPLATES).format(**names)
    while "$" in text:
        text = text.replace("$", expression(source), 1)
    return text


def cells(seed: int) -> list[str]:
    """A notebook."""
    source = random.Random(seed)  # noqa: S311  repeatable, not secret
    found = [
        "\n".join(statement(source) for _ in range(source.randrange(1, 4)))
        for _ in range(source.randrange(2, 9))
    ]
    model = "class MyModel:\n    k = $\n    def value(self): return [self.k, $, $, $, list(s), list(t)]"
    while "$" in model:
        model = model.replace("$", expression(source), 1)
    found.insert(source.randrange(len(found) + 1), model)
    return [FIRST, *found]


def said(code: list[str], name: str) -> str | None:
    """What the model of some code says, twice; None: the code fails before there is one."""
    names: dict[str, Any] = {"__name__": name, "print": lambda _: None, "__builtins__": builtins}
    try:
        for each in code:
            exec(compile(each, "cell", "exec"), names)  # noqa: S102  our own
    except Exception:  # noqa: BLE001  such as a class that is its own base
        return None
    try:
        model = names["MyModel"]()
        return ADDRESS.sub("", repr((model.value(), model.value())))
    except Exception as error:  # noqa: BLE001  likewise
        return ADDRESS.sub("", repr(error))


@pytest.mark.parametrize("part", range(4))
def test_the_model_says_what_the_notebooks_does(part: int) -> None:
    """Wherever it would not, a note or an error has said so."""
    compared = 0
    for seed in range(part * NOTEBOOKS, (part + 1) * NOTEBOOKS):
        sources = cells(seed)
        if (meant := said(sources, "__main__")) is None:
            continue
        with suppress(InvalidSubmissionError):
            taken = read_notebook(notebook(*sources), "a.ipynb", with_config=False)
            if not any(each in note for note in taken.notes for each in TOLD):
                compared += 1
                graded = said([taken.model.decode()], "model")
                assert graded == meant, f"seed {seed}:\n" + "\n# --\n".join(sources)
    assert compared > NOTEBOOKS // 10
