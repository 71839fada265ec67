"""Magics, shell commands and questions are taken out of cells, and nothing else is."""

from __future__ import annotations

import ast

import pytest

from harness.host.notebook.magics import parse


def taken_out(source: str) -> list[tuple[int, str]]:
    """Line and text of what is taken out."""
    return [(magic.line, magic.text) for magic in parse(source).magics]


def left(source: str) -> str:
    """The Python that is left, in Python's own spelling."""
    return ast.unparse(parse(source).tree)


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "!pip install torch",
        "!!ls",
        "!echo \"it's (open",
        "?torch.nn",
        "torch.nn.Linear?",
        "nn.Linear??   # how does it work",
        "%timeit?",
        "/train model",
        ",print a b",
        ";print a b",
    ],
)
def test_a_line_of_ipythons_own_is_taken_out(line: str) -> None:
    """What is before and behind it stays on its line."""
    code = parse(f"x = 1\n{line}\ny = 2")
    assert [magic.line for magic in code.magics] == [2]
    found = [(node.lineno, ast.unparse(node)) for node in code.tree.body]
    assert found == [(1, "x = 1"), (2, "pass"), (3, "y = 2")]


@pytest.mark.parametrize(
    "line", ["files = !ls", "x = %timeit -o f()", "a, b = !ls", "x=!ls", "x[0] = %who_ls"]
)
def test_what_a_command_gives_is_unknown_and_no_constant(line: str) -> None:
    """In its place stands a call, which nobody takes for a value."""
    assert taken_out(line) == [(1, line)]
    assert left(line).endswith("= get_ipython()")


@pytest.mark.parametrize(
    "source",
    [
        "x = 7 % 3",
        "x = (7\n% 3)",
        "x = '''\n%matplotlib inline\n!ls\n'''",
        'x = "what?"  # why?',
        "x = 7 \\\n% 3",
        "if x != 3: pass",
        "def f():\n    '''\n    !ls\n    '''",
        "y = r'\\\\'; x = 1 # it's",
        "f(\n  '''a\n%b''',\n  7\n  % 3)",
    ],
)
@pytest.mark.parametrize("magic", ["", "%time\n"])
def test_python_that_looks_like_a_command_stays(source: str, magic: str) -> None:
    """In strings, in brackets and behind a backslash, no statement begins; with and without a real magic."""
    assert left(magic + source).removeprefix("pass\n").strip() == ast.unparse(ast.parse(source)).strip()


def test_lines_keep_their_numbers() -> None:
    """A command over several lines leaves as many behind, and an error is on the line that it is on."""
    source = "!pip install \\\n  torch \\\n  numpy\nx = 1\n%time\ny = 2"
    assert [
        (node.lineno, ast.unparse(node)) for node in parse(source).tree.body if not isinstance(node, ast.Pass)
    ] == [
        (4, "x = 1"),
        (6, "y = 2"),
    ]
    with pytest.raises(SyntaxError) as caught:
        parse(source + "\ndef f(:")
    assert caught.value.lineno == 7


def test_a_command_in_a_block_leaves_the_block_whole() -> None:
    """A block of one command has something to do still."""
    assert left("if x:\n    !ls\nelse:\n    %cd ..") == "if x:\n    pass\nelse:\n    pass"


@pytest.mark.parametrize(
    "magic", ["%%bash", "%%python", "%%writefile model.py", "%%html", "%%timeit", "%%javascript"]
)
def test_a_cell_of_another_kind_has_no_code(magic: str) -> None:
    """What it holds never was the notebook's own Python, even where it looks like it."""
    source = f"\n{magic}\nclass MyModel: pass\n"
    assert left(source) == ""
    assert taken_out(source) == [(2, magic)]


def test_a_cell_that_is_timed_is_the_notebooks_own() -> None:
    """IPython runs it in its place, with all that it defines; such magics can stand on each other."""
    assert left("%%capture out\n%%time\nclass MyModel: pass") == "class MyModel:\n    pass"
    assert taken_out("%%capture out\n%%time\nx = 1") == [(1, "%%capture out"), (2, "%%time")]
    assert left("%%time\n%%bash\nclass MyModel: pass") == ""


def test_a_title_may_stand_before_the_magic_of_a_cell() -> None:
    """Colab shows ``#@title`` as a heading, and looks for the magic below it."""
    assert left("#@title Set-up\n\n%%bash\nls -la") == ""
    assert left("#@title The model\n%%capture\nclass MyModel: pass") == "class MyModel:\n    pass"


def test_a_statement_that_is_timed_binds_its_names() -> None:
    """IPython runs what stands behind %time as if it stood there alone; what is no Python is a command."""
    assert left("%time x = 1") == "x = 1"
    assert left("if x:\n    %time y = f()") == "if x:\n    y = f()"
    assert left("%time -r\n%time x = (\n%time") == "-r\npass\npass"
    assert taken_out("%time x = 1") == [(1, "%time x = 1")]


def test_a_cell_may_be_indented_as_a_whole() -> None:
    """IPython takes off what its first line begins with."""
    assert left("    x = 1\n    if x:\n        y = 2") == "x = 1\nif x:\n    y = 2"


@pytest.mark.parametrize(
    "source",
    ["x = (1", "def f(:", "class A\n", "x = 'a", "print 'a'", "(" * 5000, "'''", "x = 1 +", "%time\n)("],
)
def test_what_is_no_python_is_an_error(source: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(SyntaxError):
        parse(source)


def test_odd_escapes_are_no_warning_of_ours() -> None:
    """Python warns of unknown escapes in a text, and the text is the student's."""
    assert parse("x = '\\d'").magics == ()


def test_a_long_command_is_cut_where_it_is_shown() -> None:
    """A line of a megabyte is no name."""
    ((_, text),) = taken_out("!" + "a" * 100_000)
    assert len(text) <= 40
