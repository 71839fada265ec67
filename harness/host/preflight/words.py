"""The words for each kind of finding. The numbers and names in them are claims; the sentences are not."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.host.preflight.records import Said
from harness.host.report.figures import figure
from harness.host.schema_errors import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.host.preflight.claims import Claim

NAMES, NAMES_SHOWN = "{names}", 4
LOSSES = frozenset({"start", "loss", "better_loss", "constant", "training", "evaluation", "largest"})
RATES = frozenset({"rate", "better"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding.

    Attributes:
        title: what is wrong.
        message: what was seen; fields in braces are numbers of the claim, ``names`` and ``text``.
        hint: what to do; likewise.
        needs: numbers without which a claim says nothing, and is ignored; as is one without names that has
            to name something.
    """

    title: str
    message: str
    hint: str
    needs: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "softmax_before_loss": Kind(
            "softmax before the loss",
            "what MyModel returns is never negative and sums to 1 in each row. CrossEntropyLoss takes a "
            "softmax of its own, so this is the second one: the loss cannot come near 0, and learning is "
            "slow",
            "return the last layer's scores as they are; the grader takes the highest one",
        ),
        "log_softmax_before_loss": Kind(
            "log_softmax before the loss",
            "what MyModel returns are logarithms of shares. CrossEntropyLoss makes these itself; doing it "
            "twice changes no loss, and costs time",
            'leave log_softmax out, or write name = "NLLLoss" under [loss], which takes its output',
        ),
        "sigmoid_before_loss": Kind(
            "sigmoid before the loss",
            "MyModel ends in a sigmoid, so every score lies between 0 and 1, and CrossEntropyLoss cannot "
            "come near 0",
            "return the last layer's scores as they are",
        ),
        "nll_without_log_softmax": Kind(
            "NLLLoss without log_softmax",
            "NLLLoss takes logarithms of shares, and what MyModel returns are none: the loss can fall "
            "without end while nothing is learnt",
            'end forward() with torch.log_softmax(x, dim=1), or write name = "CrossEntropyLoss" under [loss]',
        ),
        "unregistered_parameters": Kind(
            "layers that PyTorch does not know of",
            "not among MyModel.parameters(), though they could learn: {names}. No optimizer moves them, and "
            "they are not saved with the weights",
            "keep layers in nn.ModuleList, nn.ModuleDict or nn.Sequential rather than in a list or a dict, "
            "and single tensors in nn.Parameter",
        ),
        "frozen_parameters": Kind(
            "frozen parameters",
            "requires_grad is False for {names}: {numbers} of {of} numbers stay as they are when training "
            "begins",
            "remove requires_grad = False; nothing here is trained beforehand, so there is little to keep",
            ("numbers", "of"),
        ),
        "no_gradient": Kind(
            "parameters without a gradient",
            "their layers are called, but the loss does not reach them: {names}",
            "between these layers and the output, look for detach(), no_grad(), .data, .item(), argmax() or "
            "NumPy",
        ),
        "not_used": Kind(
            "layers that are not used",
            "forward() never calls the layers of {names}",
            "call them in forward(), or remove them from __init__",
        ),
        "detached_output": Kind(
            "the loss reaches no parameter",
            "what MyModel returns has no gradient",
            "look in forward() for detach(), no_grad(), .data, .item(), argmax() or NumPy",
        ),
        "nan_in_data": Kind(
            "the data are not finite",
            "{rows} of {of} rows of batch {batch} have a NaN or an infinity before MyModel has seen them",
            "MyDataset makes them: look for a division by the deviation of a column that never changes (0 / "
            "0), log of 0, and empty cells",
            ("rows", "of", "batch"),
        ),
        "nan_in_forward": Kind(
            "NaN or infinity in forward()",
            "{operation} is the first to make one of finite numbers; among what it was given there were "
            "{zeros} zeros and {negatives} negative numbers",
            "{remedy}",
            ("zeros", "negatives"),
        ),
        "nan_in_backward": Kind(
            "NaN or infinity in the gradient",
            "forward() is finite and the derivative is not, in batch {batch}: it comes from {operation} and "
            "reaches {names}",
            "the derivatives of sqrt, norm and pow are infinite at 0: add a little inside, as in sqrt(x + "
            "1e-8)",
            ("batch",),
        ),
        "nan_in_loss": Kind(
            "the loss is not finite",
            "MyModel's output is finite and the loss of batch {batch} is not",
            "look at what [loss] takes: logarithms, shares or plain numbers, and targets in which range",
            ("batch",),
        ),
        "batch_dependent_in_eval": Kind(
            "predictions depend on the batch",
            "in evaluation mode {rows} of {of} rows got another prediction beside other rows; the first "
            "difference is made by {operation}",
            "in evaluation mode nothing may be computed over the rows of a batch: use BatchNorm with its "
            "running statistics (F.batch_norm with training=self.training), and no x.mean(0)",
            ("rows", "of"),
        ),
        "random_in_eval": Kind(
            "predictions depend on chance",
            "in evaluation mode {rows} of {of} rows got another prediction the second time; the first "
            "difference is made by {operation}",
            "use nn.Dropout, or F.dropout with training=self.training; no random numbers and no state that "
            "changes outside of training",
            ("rows", "of"),
        ),
        "statistics_not_updated": Kind(
            "running statistics that never move",
            "after training on batches, the mean and the variance are those of the beginning: {names}. In "
            "evaluation mode they are used, and fit no data",
            "leave momentum of BatchNorm at 0.1; 0 means that nothing is ever taken over",
        ),
        "train_eval_mismatch": Kind(
            "learnt in training mode, lost in evaluation mode",
            "on the same rows the loss is {training} in training mode and {evaluation} in evaluation mode, "
            "worse than one answer for all ({constant})",
            "look at what forward() does differently where self.training is False",
            ("training", "evaluation", "constant"),
        ),
        "learning_rate_high": Kind(
            "the learning rate is too high",
            "with lr = {rate} the loss went from {start} to {loss} in {steps} steps; with lr = {better} the "
            "same steps came to {better_loss}",
            "set lr to about {better}",
            ("rate", "better", "steps", "start", "better_loss"),
        ),
        "learning_rate_low": Kind(
            "the learning rate is too low",
            "with lr = {rate} the loss went from {start} to {loss} in {steps} steps, and the whole training "
            "would not get far; with lr = {better} the same steps came to {better_loss}",
            "set lr to about {better}",
            ("rate", "better", "steps", "start", "loss", "better_loss"),
        ),
        "optimizer_stuck": Kind(
            "the optimizer's settings are in the way",
            "after {steps} steps nothing was learnt, at this lr and at others; plain Adam with lr = "
            "{better} came from {start} to {better_loss}",
            "look at weight_decay, momentum, maximize and grad_clip",
            ("steps", "start", "better", "better_loss"),
        ),
        "cannot_overfit": Kind(
            "MyModel cannot learn {rows} rows by heart",
            "after {steps} steps on the same {rows} rows the loss is {loss}; one answer for all of them "
            "would have {constant}. Plain Adam at four rates did no better than this",
            "what limits the output? Look for an activation after the last layer, a layer that is too "
            "narrow, dropout near 1, or inputs that are thrown away",
            ("rows", "steps", "loss", "constant"),
        ),
        "constant_outputs": Kind(
            "MyModel gives all rows one answer",
            "after {steps} steps on the same {rows} rows, every row still has the same prediction",
            "a ReLU whose inputs are all negative gives 0 and learns no more: none belongs after the last "
            "layer; else try LeakyReLU, or a smaller lr. Does forward() use its argument?",
            ("rows", "steps"),
        ),
        "inputs_not_scaled": Kind(
            "the inputs are not scaled",
            "{rows} rows could not be learnt by heart as they are, and could once each input had the mean 0 "
            "and the deviation 1; the largest of these inputs is {largest}",
            "scale the inputs in forward() or in MyDataset, or begin with nn.BatchNorm1d",
            ("rows", "largest"),
        ),
        "last_batch": Kind(
            "the last batch breaks it",
            "a batch of size {size}, as an epoch ends with, came to: {text}",
            "squeeze(1) rather than squeeze(), which takes the batch away too where it has one row; "
            "BatchNorm cannot train on one row: choose another batch_size",
            ("size",),
        ),
        "data_set_without_targets": Kind(
            "MyDataset cannot read the test file",
            "on a file without the target column it came to: {text}",
            "return x alone where the column is not there, and look columns up by their names",
        ),
        "scheduler_ends": Kind(
            "the scheduler ends before the training does",
            "after epoch {epoch} it came to: {text}",
            "the scheduler is stepped once an epoch: its total_steps, or epochs times steps_per_epoch, must "
            "be at least epochs",
            ("epoch",),
        ),
    }
)
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "log": "log needs numbers above 0: log(x.clamp_min(1e-6)), log1p(x) for counts, or log_softmax",
        "sqrt": "a root needs numbers of at least 0: take x.clamp_min(0) + 1e-8",
        "div": "something is divided by 0: add a little to the divisor, as in x / (s + 1e-6)",
        "exp": "exp of a large number is infinite: subtract the maximum first, or use softmax or logsumexp",
    }
)
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("log", "log2", "log10", "log1p", "logit"), "log"),
        **dict.fromkeys(("sqrt", "rsqrt", "pow", "rpow"), "sqrt"),
        **dict.fromkeys(("div", "divide", "truediv", "rtruediv", "rdiv", "reciprocal", "normalize"), "div"),
        **dict.fromkeys(("exp", "expm1"), "exp"),
    }
)
OTHER_REMEDY = "print the numbers that go in there: are they out of its range, or far too large?"
SKIPPED: Mapping[str, str] = MappingProxyType(
    {
        "eval": "whether predictions are the same twice",
        "pace": "how long the training would take",
        "overfit": "whether MyModel can learn a few rows by heart",
        "learning_rate": "whether the learning rate is far off",
    }
)
REASONS: Mapping[str, str] = MappingProxyType(
    {"time": "Not looked at, for want of time", "findings": "Not looked at until this is mended"}
)


def said(claim: Claim) -> Said | None:
    """A claim in words; None where its kind is not known, or something is missing."""
    kind = KINDS.get(claim.code)
    if kind is None or not set(kind.needs) <= claim.numbers.keys():
        return None
    if NAMES in kind.message and not claim.names:
        return None
    fields = {name: _number(name, number) for name, number in claim.numbers.items()}
    fields |= {"names": _names(claim), "text": claim.text or "an error", "operation": _operation(claim)}
    fields["remedy"] = REMEDIES.get(FAMILIES.get(claim.text, ""), OTHER_REMEDY)
    fields.setdefault("loss", "a number that is not finite")
    message = kind.message.format_map(fields) + _where_in_the_data(claim)
    return Said(claim.code, kind.title.format_map(fields), message, kind.hint.format_map(fields), claim.place)


def left_out(skipped: Mapping[str, str]) -> tuple[str, ...]:
    """What was not looked at, in a sentence for each reason; what is not known is not told.

    Args:
        skipped: the reason for each.
    """
    return tuple(
        f"{REASONS[why]}: {', '.join(SKIPPED[code] for code in codes)}"
        for why in REASONS
        if (codes := [code for code in SKIPPED if skipped.get(code) == why])
    )


def _number(name: str, number: float) -> str:
    if name in LOSSES:
        return figure(number)
    return f"{number:.3g}" if name in RATES else f"{number:,.0f}"


def _names(claim: Claim) -> str:
    shown = ", ".join(quoted(name) for name in claim.names[:NAMES_SHOWN])
    more = int(claim.numbers.get("count", 0)) - NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _operation(claim: Claim) -> str:
    return quoted(claim.text) if claim.text else "an operation that is not known"


def _where_in_the_data(claim: Claim) -> str:
    """When a forward pass broke: at first, or only after some steps."""
    if claim.code != "nan_in_forward":
        return ""
    if "step" in claim.numbers:
        return f" (in step {claim.numbers['step']:,.0f} of a short training)"
    if {"rows", "of", "batch"} <= claim.numbers.keys():
        rows, of, batch = (claim.numbers[name] for name in ("rows", "of", "batch"))
        return f" (in {rows:,.0f} of {of:,.0f} rows of batch {batch:,.0f})"
    return ""
