"""Linear regression: one weight for each feature."""

from torch import Tensor, nn


class MyModel(nn.Module):
    """Predicts the count as a weighted sum of the features.

    Args:
        features: number of input columns.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, F) to counts (B,)."""
        prediction: Tensor = self.linear(x)
        return prediction.squeeze(1)
