"""What of a notebook becomes model.py: what MyModel needs, and only that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness.host.errors import InvalidSubmissionError
from harness.host.notebook.reading import MAX_STATEMENTS, read_notebook
from tests.notebooks import MODEL, notebook

if TYPE_CHECKING:
    from harness.host.notebook.reading import Taken

NN = "from torch import nn"
LINEAR = "class MyModel(nn.Module):\n    pass"


def taken(*cells: str) -> Taken:
    """What is taken of a notebook of these cells, beside its config."""
    return read_notebook(notebook(*cells), "hw1.ipynb", with_config=False)


def code(*cells: str) -> list[str]:
    """The lines of model.py that are code."""
    return [line for line in taken(*cells).model.decode().splitlines() if line and not line.startswith("#")]


def notes(*cells: str) -> str:
    """All that is told of these cells."""
    return "\n".join(taken(*cells).notes)


def refusal(*cells: str) -> InvalidSubmissionError:
    """The error that these cells are refused with."""
    with pytest.raises(InvalidSubmissionError) as caught:
        taken(*cells)
    assert (caught.value.message + caught.value.hint).isprintable()
    assert caught.value.hint
    return caught.value


def uses(*names: str) -> str:
    """A cell with a model whose constructor looks names up."""
    return f"class MyModel(nn.Module):\n    def __init__(self): self.x = ({', '.join(names)},)"


def test_a_plain_model_is_kept_as_it_is() -> None:
    """Text, comments inside it and order are the student's."""
    model = MODEL.replace("        super", "        # first of all\n        super")
    assert taken(model).model.decode().partition("# cell 1\n")[2] == model.replace("\n\n\nclass", "\n\nclass")


def test_what_trains_shows_and_asks_is_left_out() -> None:
    """None of it could work in a sandbox, and the loops are the harness's."""
    training = """\
import matplotlib.pyplot as plt
from google.colab import files
uploaded = files.upload()
name = input()
print(name)
model = MyModel()
for epoch in range(10):
    print(epoch)
with open("log") as log:
    log.write("x")
while True:
    pass
assert model
plt.plot([1]); plt.show()
del model
model
if __name__ == "__main__":
    print("hello")
"""
    assert code(NN, training, LINEAR, training) == [NN, *LINEAR.splitlines()]


def test_only_what_is_needed_is_imported() -> None:
    """An import of several things is kept for those that are needed: the others may not be installed."""
    cells = (
        "import torch, matplotlib.pyplot as plt, os.path\nfrom torch import nn, optim",
        uses("torch.pi", "os.sep"),
    )
    assert code(*cells)[:3] == ["import torch", "import os.path", "from torch import nn"]


def test_helpers_are_kept_from_wherever_they_stand() -> None:
    """What is only looked up when the model is made may come in a later cell, and helpers have helpers."""
    assert code(
        NN, uses("helper()"), "def unused(): pass", "def helper(): return inner()", "def inner(): return 1"
    ) == [
        NN,
        *uses("helper()").splitlines(),
        "def helper(): return inner()",
        "def inner(): return 1",
    ]


@pytest.mark.parametrize(
    "constant",
    [
        "X = 64",
        "X: int = 2 * 32",
        "X, Y = 1, (2, 3)",
        "X = Y = [1, 2]",
        "X = 'text'.split('x')",
        "X = {name: 1 for name in ('a', 'b')}",
        "X = lambda: open('train.csv')",
        "X = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "X = torch.device('cpu')",
        "X = torch.tensor([1.0]) + torch.zeros(1)",
        "X = dict(a=1)",
        "X = math.sqrt(2) * torch.pi",
        "X = functools.partial(nn.Conv2d, bias=False)",
        "X = collections.namedtuple('X', 'a b')",
        "X = Box(3)",
        "X = f'{1}'",
        "if torch.cuda.is_available():\n    X = 1\nelse:\n    X = 2",
        "try:\n    import missing as X\nexcept ImportError:\n    X = None",
        "X = 5\nX += 1",
    ],
)
def test_constants_are_kept(constant: str) -> None:
    """Literals, arithmetic, and calls that read no file and train nothing."""
    imports = "import collections, dataclasses, functools, math, torch"
    box = "@dataclasses.dataclass\nclass Box:\n    side: int"
    found = code(imports, NN, box, constant, uses("X"))
    assert found[-2:] == uses("X").splitlines()
    assert set(constant.splitlines()) <= set(found)
    assert notes(imports, NN, box, constant, uses("X")).count("is left out") == 0


@pytest.mark.parametrize(
    ("work", "how"),
    [
        ("X = pd.read_csv('train.csv').mean()", "a value that calls pd.read_csv"),
        ("X = input()", "a value that calls input"),
        ("X = open('x').read()", "a value that calls open"),
        ("X = torch.load('x.pth')", "a value that calls torch.load"),
        ("X = (lambda: open('x'))()", "a value that calls ..."),
        ("for X in range(3):\n    pass", "a loop"),
        ("with open('x') as X:\n    pass", "a with block"),
        ("X = !ls", "X = !ls"),
        ("if len([]) == 0:\n    X = 1\n    print(X)", "an if that does more than define"),
    ],
)
def test_a_name_that_only_left_out_code_gives_a_value_is_told(work: str, how: str) -> None:
    """It may never be looked up, so that the notebook is graded; the note names both cells and the name."""
    told = notes("import pandas as pd, torch", NN, work, uses("X"))
    assert f"class MyModel in cell 4 uses X, which cell 3, line 1 makes by {how}: that is left out" in told
    assert f"cell 3: left out: {how} (line 1)" in told


def test_a_value_that_is_made_of_left_out_code_is_left_out_too() -> None:
    """The first cause is told, however many steps it is away."""
    told = notes("import pandas as pd", NN, "t = pd.read_csv('x')\nm = t.mean()", "X = m * 2", uses("X"))
    assert (
        "class MyModel in cell 5 uses X, which cell 4, line 1 makes of t, "
        "which cell 3, line 1 makes by a value that calls pd.read_csv: that is left out"
    ) in told


def test_a_name_that_no_cell_defines_is_told() -> None:
    """It may be a slip of the pen."""
    assert "class MyModel in cell 2 uses hiden, which no cell defines" in notes(
        NN, uses("hiden", "print", "__name__")
    )


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            (NN, "size = int(input())", f"@size\n{LINEAR}"),
            "cell 3, line 1: MyModel is made of size, which cell 2, line 1",
        ),
        (
            (NN, "class MyModel(Base):\n    pass"),
            "cell 2, line 1: MyModel is made of Base, which no cell defines",
        ),
        (
            (NN, "class MyModel(Base):\n    pass", "class Base(nn.Module): pass"),
            "MyModel is made of Base, which is defined further down, in cell 3, line 1",
        ),
        ((NN, "MyModel = build()"), "cell 2, line 1: MyModel is made by a value that calls build"),
        ((NN, LINEAR, "class MyDataset(Missing): pass"), "cell 3, line 1: MyDataset is made of Missing"),
        (("class Model: pass",), "hw1.ipynb defines no MyModel; it has Model"),
        (("x = 1",), "hw1.ipynb defines no MyModel"),
        ((), "hw1.ipynb defines no MyModel"),
        (("%%python\nclass MyModel: pass",), "hw1.ipynb defines no MyModel"),
        (("class \u041cyModel: pass",), "hw1.ipynb defines no MyModel; it has \u041cyModel"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(cells: tuple[str, ...], said: str) -> None:
    """Without it nothing could be imported; the error names the cell, the line and the name."""
    assert said in refusal(*cells).message


def test_another_name_for_the_model_is_proposed() -> None:
    """The course's samples call it My_Model."""
    assert "rename My_Model to MyModel, or add `MyModel = My_Model`" in refusal("class My_Model: pass").hint
    assert code(NN, "class My_Model(nn.Module): pass\nMyModel = My_Model")[-1] == "MyModel = My_Model"


def test_another_name_for_the_model_needs_no_more_than_the_model() -> None:
    """To give a class a second name calls nothing, so that a name that it may miss later is told, as ever."""
    model = uses("missing").replace("MyModel", "Net")
    assert code(NN, model, "MyModel = Net")[-1] == "MyModel = Net"
    assert "class Net in cell 2 uses missing, which no cell defines" in notes(NN, model, "MyModel = Net")


def test_names_are_compared_as_python_does() -> None:
    """Letters that Python takes for the same are the same: a class in wide letters is MyModel."""
    assert code(NN, "class \uff2d\uff59\uff2d\uff4f\uff44\uff45\uff4c(nn.Module): pass")[1].startswith(
        "class \uff2d"
    )


def test_a_class_that_is_written_anew_counts_as_it_was_last() -> None:
    """Earlier versions are not even imported, unless the later one is made of them."""
    first, last = "class MyModel(nn.Module):\n    a = 1", "class MyModel(nn.Module):\n    b = 2"
    assert code(NN, first, last) == [NN, *last.splitlines()]
    grown = "class MyModel(MyModel):\n    b = 2"
    assert code(NN, first, grown) == [NN, *first.splitlines(), *grown.splitlines()]


@pytest.mark.parametrize(
    "addition",
    [
        "MyModel.forward = forward",
        "MyModel.forward, MyModel.size = forward, 3",
        "setattr(MyModel, 'forward', forward)",
        "MyModel.forward = lambda self, x: x",
        "@add_to(MyModel)\ndef forward(self, x): return x",
        "REGISTRY['x'] = 3",
        "REGISTRY.update(x=3)",
        "@add_to(cls=MyModel)\ndef forward(self, x): return x",
        "@REGISTRY.setdefault\ndef entry(): pass",
        "@REGISTRY.register('x')\nclass Block: pass",
        "def entry(x=REGISTRY.pop('x')): pass",
        "A = {'model': MyModel}\nA['model'].scale = 3",
    ],
)
def test_what_is_added_to_a_class_or_table_in_a_later_cell_is_kept(addition: str) -> None:
    """A class can go on in the next cell, in all the ways that notebooks do it."""
    cells = (
        NN,
        "def add_to(cls):\n    return lambda f: f",
        "REGISTRY = {}",
        uses("REGISTRY"),
        "def forward(self, x): return x",
    )
    assert code(*cells, addition)[-len(addition.splitlines()) :] == addition.splitlines()


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        (
            "MyModel.scale = open('x')",
            "MyModel is as cell 3, line 1 has it: cell 4, line 1 changes it by a value that calls open",
        ),
        (
            "for n in range(3):\n    SIZES.append(n)",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by a loop",
        ),
        (
            "if __name__ == '__main__':\n    SIZES = [2]",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by an if that asks for __name__",
        ),
        (
            "for each in [SIZES]:\n    each.append(2)",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by a loop",
        ),
        (
            "def fill(sizes): sizes.append(3)\nfill(SIZES)",
            "SIZES is as cell 2, line 1 has it: cell 4, line 2 changes it by a call of fill",
        ),
        (
            "%time SIZES = [2]",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by %time SIZES",
        ),
        ("print(SIZES := [2])", "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by a call"),
        ("exec('SIZES = [2]')", "cell 4, line 1 may give any name another value by exec, which is left out"),
        ("globals()['SIZES'] = [2]", "cell 4, line 1 may give any name another value by globals"),
        (
            "SIZES = list(open('x'))",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by a value that calls",
        ),
        (
            "for SIZES in ():\n    pass",
            "SIZES is as cell 2, line 1 has it: cell 4, line 1 changes it by a loop",
        ),
    ],
)
def test_a_change_that_is_left_out_is_told(addition: str, said: str) -> None:
    """Otherwise the model would quietly be another one than in the notebook."""
    assert said in notes(NN, "SIZES = [1]", uses("SIZES"), addition)


def test_a_change_of_what_is_imported_is_left_out() -> None:
    """Settings of torch and its like are the harness's."""
    cells = (
        "import torch",
        NN,
        "torch.backends.cudnn.benchmark = False\ntorch.manual_seed(1)",
        uses("torch"),
    )
    assert code(*cells) == ["import torch", NN, *uses("torch").splitlines()]
    assert (
        "left out: a change of torch, which is imported (line 1), a call of torch.manual_seed (line 2)"
        in notes(*cells)
    )


def test_a_later_change_of_an_earlier_class_does_not_count_for_the_new_one() -> None:
    """The name means another class from there on."""
    assert "MyModel.a = 1" not in code(NN, LINEAR, "MyModel.a = 1", "class MyModel(nn.Module):\n    b = 2")


def test_imports_for_types_alone_are_kept_where_they_are_looked_up() -> None:
    """``if TYPE_CHECKING`` is a definition like others; with annotations as texts they need nobody."""
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor"
    model = "class MyModel(nn.Module):\n    def forward(self, x: Tensor): return x"
    assert code(NN, types, model)[1:4] == types.splitlines()
    assert code(NN, types, "from __future__ import annotations", model)[:3] == [
        "from __future__ import annotations",
        NN,
        model.splitlines()[0],
    ]


def test_everything_of_a_star_import_may_be_needed() -> None:
    """It does not say what it brings."""
    assert code("from torch.nn import *", "class MyModel(Module): pass")[0] == "from torch.nn import *"


def test_a_magic_inside_a_definition_is_refused_where_it_is_needed() -> None:
    """There it would have to run with the model."""
    model = "class MyModel(nn.Module):\n    def forward(self, x):\n        %time y = x\n        return y"
    error = refusal(NN, model)
    assert "hw1.ipynb, cell 2, line 3: '%time y = x' stands inside a definition" in error.message
    assert code(NN, "def train():\n    !ls", LINEAR) == [NN, *LINEAR.splitlines()]


def test_code_that_is_no_python_is_refused_with_cell_and_line() -> None:
    """Line numbers are the student's, with magics counted."""
    assert refusal(NN, "%time\nx = 1\ndef f(:\n").message == "hw1.ipynb, cell 2, line 3: invalid syntax"
    assert "cell 1, line 2: duplicate argument 'a'" in refusal("x = 1\ndef f(a, a): pass\n" + LINEAR).message
    assert "cell 1, line 2: a zero byte" in refusal("x = 1\ny = '\0'").message
    assert "invalid non-printable character U+202E" in refusal("x = y\u202e").message


@pytest.mark.parametrize(
    "source",
    [
        "(" * 90_000 + ")" * 90_000,
        "x = " + "-" * 100_000 + "1",
        "x = " + "not " * 50_000 + "1",
        "x = 1" + "+1" * 80_000,
        "x" + ".a" * 80_000,
        "x" + "[0]" * 60_000,
        "if x: pass\n" + "elif x: pass\n" * 15_000,
        "\n".join(" " * depth + "if x:" for depth in range(99)) + "\n" + " " * 99 + "pass",
        "lambda: " * 30_000 + "1",
        "f(" * 190 + ")" * 190,
        "a = b = " * 20_000 + "1",
        "x = " + "a if b else " * 20_000 + "c",
        "@a\n" * 60_000 + "def f(): pass",
        "'" * 200_000,
        '"""' + "a\\" * 100_000,
        "x = 0x" + "f" * 100_000,
        "x = " + "9" * 100_000,
        "a;" * 1_900 + "x = (" + "a," * 100_000 + ")",
        "def f(" + ", ".join(f"a{n}" for n in range(20_000)) + "): pass",
    ],
    ids=lambda source: source[:12],
)
@pytest.mark.timeout(60)
def test_code_that_is_costly_to_read_is_read_or_refused_soon(source: str) -> None:
    """Neither Python's parser nor what looks at its result can be kept busy or be broken."""
    started = time.process_time()
    refused = ""
    try:
        taken(NN, LINEAR, "x = a = b = c = 1", source)
    except InvalidSubmissionError as error:
        refused = error.message
    assert not refused or "cell 4" in refused or "nested too deep" in refused
    assert time.process_time() - started < 5


@pytest.mark.timeout(60)
def test_many_statements_that_hang_together_are_read_soon() -> None:
    """Every name of every cell may lead to every other."""
    names = [f"n{number}" for number in range(32)]
    lines = [" = ".join(names) + f" = ({', '.join(names)})" for _ in range(MAX_STATEMENTS // 2)]
    loops = [f"for {', '.join(names)} in (): pass" for _ in range(MAX_STATEMENTS // 3)]
    started = time.process_time()
    taken(NN, " = ".join(names) + " = 0", "\n".join(lines[:500] + loops[:400]), uses(*names))
    chain = [f"if a:\n  v{number} = v{max(number - 1, 0)}" for number in range(MAX_STATEMENTS - 10)]
    taken(NN, "a = 1\nv0 = 1", "\n".join(chain), uses(f"v{MAX_STATEMENTS - 11}"))
    assert time.process_time() - started < 10


def test_too_many_statements_are_refused() -> None:
    """No homework has thousands of them at the top level of its cells."""
    assert f"more than {MAX_STATEMENTS} statements" in refusal("x = 1\n" * (MAX_STATEMENTS + 1)).message


def test_the_notes_stay_short() -> None:
    """Of a notebook with hundreds of cells, the first lines are told and the others counted."""
    told = taken(NN, LINEAR, *["print(1)"] * 300).notes
    assert len(told) == 40
    assert told[0] == "hw1.ipynb: 2 of 302 cells with code are used"
    assert told[-1] == "and 264 more lines like these"
    assert all(
        len(line) < 1000
        for line in taken(NN, LINEAR, "import " + ", ".join(["a" * 5000 + str(n) for n in range(9)])).notes
    )


def test_no_comment_of_a_student_can_set_the_encoding() -> None:
    """Python looks for an encoding in the first two lines, and these are the harness's."""
    first = taken("# coding: utf-7\nclass MyModel: # coding: utf-7\n    pass").model.splitlines()[:2]
    assert first == [b"# What MyModel needs of a notebook, by the numbers of its cells.", b""]


def test_every_line_has_its_place_in_the_notebook() -> None:
    """So that an error in model.py can be told by cell and line."""
    found = taken("x = 1\n\n" + NN, "%time\n@print\nclass MyModel(nn.Module):\n\n    pass # é\n\ny = 1")
    lines = found.model.decode().splitlines()
    places = {lines[number - 1]: (place.file, place.line) for number, place in found.lines.items()}
    assert places == {
        NN: ("hw1.ipynb:cell 1", 3),
        "@print": ("hw1.ipynb:cell 2", 2),
        "class MyModel(nn.Module):": ("hw1.ipynb:cell 2", 3),
        "": ("hw1.ipynb:cell 2", 4),
        "    pass": ("hw1.ipynb:cell 2", 5),
    }
