"""A perceptron with one wide hidden layer, half of which is dropped in each training step."""

from torch import Tensor, nn

WHITE = 9.0


class MyModel(nn.Module):
    """Learns strokes where it has seen them; it has to see each one at every place.

    Args:
        pixels: number of input columns.
        hidden: width of the hidden layer.
        dropout: share of hidden activations dropped in training.
    """

    def __init__(self, pixels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(pixels, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (B, 576) to scores (B, 10)."""
        scores: Tensor = self.layers(x / WHITE)
        return scores
