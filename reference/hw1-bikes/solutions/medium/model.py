"""A perceptron with one hidden layer."""

from torch import Tensor, nn


class MyModel(nn.Module):
    """Lets features act together: rain at five in the afternoon is not rain at night.

    Args:
        features: number of input columns.
        hidden: width of the hidden layer.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, F) to counts (B,)."""
        prediction: Tensor = self.layers(x)
        return prediction.squeeze(1)
