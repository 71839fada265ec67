"""Softmax regression: one weight for each pixel and class."""

from torch import Tensor, nn

WHITE = 9.0


class MyModel(nn.Module):
    """Scores each digit by a weighted sum of the pixels.

    Args:
        pixels: number of input columns.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(pixels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (B, 576) to scores (B, 10)."""
        scores: Tensor = self.linear(x / WHITE)
        return scores
