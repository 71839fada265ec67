"""PyTorch's compiler is not imported before somebody uses it, and then is what it always is."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

START = """
import sys
import torch
from harness.guest import late_compiler

late_compiler.put_off(torch)
parameter = torch.ones(3, requires_grad=True)


def imported():
    return "torch._dynamo.convert_frame" in sys.modules
"""


def run(program: str) -> None:
    """Run a program in an interpreter of its own, which has to end well."""
    text = START + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_loops_do_without_it() -> None:
    """Every optimizer that takes a plain parameter, with its state, its schedulers and a clipped gradient."""
    run("""
        names = [n for n in dir(torch.optim) if isinstance(getattr(torch.optim, n), type)]
        tried = []
        for name in names:
            kind = getattr(torch.optim, name)
            if name in ("Optimizer", "SparseAdam", "LBFGS", "Muon"):
                continue
            optimizer = kind([parameter], lr=0.1)
            kinds = torch.optim.lr_scheduler
            steps, cosine = kinds.StepLR(optimizer, 1), kinds.CosineAnnealingLR(optimizer, 9)
            plateau = kinds.ReduceLROnPlateau(optimizer)
            optimizer.zero_grad()
            parameter.square().sum().backward()
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
            optimizer.step()
            steps.step(), cosine.step(), plateau.step(1.0)
            optimizer.load_state_dict(optimizer.state_dict())
            tried.append(name)
        assert len(tried) > 10, tried
        assert not imported()
    """)


@pytest.mark.parametrize(
    "use",
    [
        "import torch._dynamo.config as one; assert one is torch._dynamo.config is sys.modules[one.__name__]",
        "from torch._dynamo.utils import counters as one; assert one is torch._dynamo.utils.counters",
        "torch._dynamo.reset()",
        "assert torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)).sum() == 4",
        "assert torch.compiler.disable(lambda x: 2 * x)(1) == 2",
    ],
    ids=["submodule", "name of a submodule", "attribute", "compile", "disable"],
)
def test_who_uses_it_gets_the_module_itself(use: str) -> None:
    """It is in its place, once, with all its submodules; optimizers go on with it."""
    run(f"""
        optimizer = torch.optim.Adam([parameter])
        parameter.square().sum().backward()
        optimizer.step()
        assert not imported()
        {use}
        assert imported()
        module = sys.modules["torch._dynamo"]
        assert type(module) is type(sys)
        assert module is torch._dynamo
        assert module.config is sys.modules["torch._dynamo.config"]
        assert module.disable.__module__ == "torch._dynamo.decorators"
        assert not any("late_compiler" in type(finder).__module__ for finder in sys.meta_path)
        optimizer.step()
        function = torch.optim.Optimizer.add_param_group.__wrapped__
        torch.optim.Adam([parameter])
        assert function.__dynamo_disable is not function
    """)


def test_function_that_is_kept_from_compiling_is_kept_from_it() -> None:
    """What ``torch.compiler.disable`` returns breaks the graph, as it does where nothing was put off."""
    run("""
        inner = torch.compiler.disable(lambda x: x + 1)
        graphs = []

        def backend(graph, _):
            graphs.append(graph)
            return graph.forward

        compiled = torch.compile(lambda x: inner(2 * x) * 3, backend=backend)
        assert compiled(torch.ones(1)).item() == 9
        assert len(graphs) == 2, graphs
    """)


def test_missing_submodule_is_missing() -> None:
    """The error is Python's own."""
    run("""
        try:
            import torch._dynamo.no_such_thing
        except ModuleNotFoundError as error:
            assert error.name == "torch._dynamo.no_such_thing", error.name
        else:
            raise AssertionError("it was found")
    """)


def test_nothing_is_put_off_that_is_there() -> None:
    """An imported compiler stays."""
    run("""
        import importlib
        del torch._dynamo, sys.modules["torch._dynamo"]
        sys.meta_path[:] = [each for each in sys.meta_path if "late" not in type(each).__module__]
        real = importlib.import_module("torch._dynamo")
        late_compiler.put_off(torch)
        assert torch._dynamo is real
    """)
