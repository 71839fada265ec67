"""The starter: a linear model. Change it as you like; the class must keep its name."""

from torch import Tensor, nn


class MyModel(nn.Module):
    """Scores the ten digits.

    Args:
        pixels: number of input columns; it comes from `[model]` of config.toml, as would every
            further argument that you add.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(pixels, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (B, 576) to scores (B, 10), one for each digit; no softmax, the loss has one."""
        scores: Tensor = self.layers(x)
        return scores
