"""An ensemble of residual networks that live side by side in one model.

All members see the same rows and are computed together, as one batched matrix product a layer; the
prediction is their mean.
"""

import math

import torch
from torch import Tensor, nn

COUNT_SCALE = 100.0


class MembersLinear(nn.Module):
    """One linear layer for each member: (M, B, I) to (M, B, O).

    Args:
        members: number of members M.
        inputs: width I.
        outputs: width O.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)  # as nn.Linear is initialised
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each member's own weights."""
        return torch.baddbmm(self.bias, x, self.weight)


class ResidualBlock(nn.Module):
    """Normalise, widen, activate, drop, and add the result to what came in.

    Args:
        members: number of members M.
        width: size of the last axis.
        dropout: share of hidden activations dropped in training.
    """

    def __init__(self, members: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            MembersLinear(members, width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            MembersLinear(members, width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, B, W) to (M, B, W)."""
        change: Tensor = self.layers(x)
        return x + change


class MyModel(nn.Module):
    """The mean of several residual networks, in units of `COUNT_SCALE` bikes.

    Args:
        features: number of input columns.
        members: number of networks.
        width: width of each network.
        blocks: residual blocks in each network.
        dropout: share of hidden activations dropped in training.
    """

    def __init__(self, features: int, members: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.members = members
        self.layers = nn.Sequential(
            MembersLinear(members, features, width),
            *(ResidualBlock(members, width, dropout) for _ in range(blocks)),
            nn.LayerNorm(width),
            MembersLinear(members, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, F) to counts (B,)."""
        predictions: Tensor = self.layers(x.expand(self.members, *x.shape))  # (M, B, 1)
        return COUNT_SCALE * predictions.squeeze(2).mean(dim=0)
