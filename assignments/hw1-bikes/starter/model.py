"""The starter: a linear model. Change it as you like; the class must keep its name."""

from torch import Tensor, nn


class MyModel(nn.Module):
    """Predicts how many bikes are rented in an hour.

    Args:
        features: number of input columns; it comes from `[model]` of config.toml, as would every
            further argument that you add.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, F) to counts (B,)."""
        prediction: Tensor = self.layers(x)
        return prediction.squeeze(1)  # (B, 1) to (B,), the shape of the targets
