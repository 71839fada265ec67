"""The closed sets of torch's names that a config may use, with the arguments that each takes from TOML.

The host never imports torch, so these are literals; a test compares them with the torch that the guest runs.
Left out of every entry: what is no plain value (tensors, functions, other schedulers), ``last_epoch`` (the
harness always begins at the first epoch) and a loss's ``reduction`` (the loops weight a batch's mean by its
rows).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

ArgumentKind = Literal[
    "number", "non-negative", "integer", "flag", "text", "numbers", "integers", "number or numbers"
]


@dataclass(frozen=True, slots=True)
class Arguments:
    """Which arguments a class takes, and which of them it cannot do without."""

    names: frozenset[str]
    required: frozenset[str] = frozenset()


def _takes(names: str, required: str = "") -> Arguments:
    return Arguments(frozenset(names.split()) | frozenset(required.split()), frozenset(required.split()))


_SWITCHES = "foreach maximize differentiable"

OPTIMIZERS: Mapping[str, Arguments] = MappingProxyType(
    {
        "ASGD": _takes(f"lr lambd alpha t0 weight_decay capturable {_SWITCHES}"),
        "Adadelta": _takes(f"lr rho eps weight_decay capturable {_SWITCHES}"),
        "Adafactor": _takes("lr beta2_decay d weight_decay foreach maximize"),
        "Adagrad": _takes(f"lr lr_decay weight_decay initial_accumulator_value eps fused {_SWITCHES}"),
        "Adam": _takes(
            f"lr betas eps weight_decay amsgrad capturable fused decoupled_weight_decay {_SWITCHES}"
        ),
        "AdamW": _takes(f"lr betas eps weight_decay amsgrad capturable fused {_SWITCHES}"),
        "Adamax": _takes(f"lr betas eps weight_decay capturable {_SWITCHES}"),
        "Muon": _takes("lr weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn"),
        "NAdam": _takes(
            f"lr betas eps weight_decay momentum_decay decoupled_weight_decay capturable {_SWITCHES}"
        ),
        "RAdam": _takes(f"lr betas eps weight_decay decoupled_weight_decay capturable {_SWITCHES}"),
        "RMSprop": _takes(f"lr alpha eps weight_decay momentum centered capturable {_SWITCHES}"),
        "Rprop": _takes(f"lr etas step_sizes capturable {_SWITCHES}"),
        "SGD": _takes(f"lr momentum dampening weight_decay nesterov fused {_SWITCHES}"),
    }
)
REFUSED_OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "LBFGS": "it evaluates the loss several times a step, and the training loop does so once",
        "Optimizer": "it is the base class of the optimizers",
        "SparseAdam": "it takes sparse gradients only",
    }
)

SCHEDULERS: Mapping[str, Arguments] = MappingProxyType(
    {
        "ConstantLR": _takes("factor total_iters"),
        "CosineAnnealingLR": _takes("eta_min", required="T_max"),
        "CosineAnnealingWarmRestarts": _takes("T_mult eta_min", required="T_0"),
        "CyclicLR": _takes(
            "step_size_up step_size_down mode gamma scale_mode cycle_momentum base_momentum max_momentum",
            required="base_lr max_lr",
        ),
        "ExponentialLR": _takes("", required="gamma"),
        "LinearLR": _takes("start_factor end_factor total_iters"),
        "MultiStepLR": _takes("gamma", required="milestones"),
        "OneCycleLR": _takes(
            "total_steps epochs steps_per_epoch pct_start anneal_strategy cycle_momentum base_momentum "
            "max_momentum div_factor final_div_factor three_phase",
            required="max_lr",
        ),
        "PolynomialLR": _takes("total_iters power"),
        "ReduceLROnPlateau": _takes("mode factor patience threshold threshold_mode cooldown min_lr eps"),
        "StepLR": _takes("gamma", required="step_size"),
    }
)
REFUSED_SCHEDULERS: Mapping[str, str] = MappingProxyType(
    {
        "ChainedScheduler": "it is made of other schedulers, which a config cannot write down",
        "LRScheduler": "it is the base class of the schedulers",
        "LambdaLR": "it needs a function, which a config cannot write down",
        "MultiplicativeLR": "it needs a function, which a config cannot write down",
        "SequentialLR": "it is made of other schedulers, which a config cannot write down",
    }
)

# Losses between numbers, and between scores and class numbers; `tasks` says which task takes which.
NUMBER_LOSSES: Mapping[str, Arguments] = MappingProxyType(
    {
        "HuberLoss": _takes("delta"),
        "L1Loss": _takes(""),
        "MSELoss": _takes(""),
        "PoissonNLLLoss": _takes("log_input full eps"),
        "SmoothL1Loss": _takes("beta"),
    }
)
CLASS_LOSSES: Mapping[str, Arguments] = MappingProxyType(
    {
        "CrossEntropyLoss": _takes("ignore_index label_smoothing"),
        "MultiMarginLoss": _takes("p margin"),
        "NLLLoss": _takes("ignore_index"),
    }
)
_TWO_INPUTS = "it compares pairs or triples of outputs, and the loops pass one output and one target"
_ONE_HOT = "it needs a target in every column, and the targets here are class numbers"
REFUSED_LOSSES: Mapping[str, str] = MappingProxyType(
    {
        "AdaptiveLogSoftmaxWithLoss": "it has weights of its own, which the loops would not train",
        "BCELoss": _ONE_HOT,
        "BCEWithLogitsLoss": _ONE_HOT,
        "CTCLoss": "it needs the lengths of sequences, which the loops do not pass",
        "CosineEmbeddingLoss": _TWO_INPUTS,
        "GaussianNLLLoss": "it needs a variance as a third input, and the loops pass two",
        "HingeEmbeddingLoss": "its targets are 1 and -1, and no assignment here has such targets",
        "KLDivLoss": "its targets are distributions, and the targets here are numbers",
        "LinearCrossEntropyLoss": "it has weights of its own, which the loops would not train",
        "MarginRankingLoss": _TWO_INPUTS,
        "MultiLabelMarginLoss": _ONE_HOT,
        "MultiLabelSoftMarginLoss": _ONE_HOT,
        "SoftMarginLoss": "its targets are 1 and -1, and no assignment here has such targets",
        "TripletMarginLoss": _TWO_INPUTS,
        "TripletMarginWithDistanceLoss": _TWO_INPUTS,
    }
)

_KINDS: tuple[tuple[ArgumentKind, str], ...] = (
    ("non-negative", "lr weight_decay momentum eps initial_accumulator_value lr_decay rho"),
    (
        "number",
        "lambd alpha t0 beta2_decay d momentum_decay dampening factor eta_min gamma start_factor end_factor",
    ),
    ("number", "power threshold pct_start div_factor final_div_factor delta beta label_smoothing margin"),
    ("integer", "ns_steps total_iters T_max T_0 T_mult step_size_up step_size_down total_steps epochs"),
    ("integer", "steps_per_epoch patience cooldown step_size ignore_index p"),
    ("flag", "amsgrad capturable centered cycle_momentum decoupled_weight_decay differentiable foreach full"),
    ("flag", "fused log_input maximize nesterov three_phase"),
    ("text", "mode scale_mode threshold_mode anneal_strategy adjust_lr_fn"),
    ("numbers", "betas etas step_sizes ns_coefficients"),
    ("integers", "milestones"),
    ("number or numbers", "base_lr max_lr min_lr base_momentum max_momentum"),
)
ARGUMENT_KINDS: Mapping[str, ArgumentKind] = MappingProxyType(
    {name: kind for kind, names in _KINDS for name in names.split()}
)

# What students write for it in other libraries, where no comparison of spellings would find it.
ALIASES: Mapping[str, str] = MappingProxyType(
    {"learning_rate": "lr", "decay": "weight_decay", "beta1": "betas"}
)
