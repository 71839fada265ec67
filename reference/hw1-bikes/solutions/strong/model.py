"""A tuned perceptron: two hidden layers, dropout, and an output in units of 100 bikes."""

from torch import Tensor, nn

COUNT_SCALE = 100.0


class MyModel(nn.Module):
    """Predicts in units of `COUNT_SCALE`, so that the last layer's weights can stay small.

    Args:
        features: number of input columns.
        hidden: width of both hidden layers.
        dropout: share of hidden activations dropped in training.
    """

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, F) to counts (B,)."""
        prediction: Tensor = self.layers(x)
        return COUNT_SCALE * prediction.squeeze(1)
