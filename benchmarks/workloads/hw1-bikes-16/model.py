"""The model of the lecture's first homework: one hidden layer."""

from torch import Tensor, nn


class MyModel(nn.Module):
    """A perceptron.

    Args:
        features: columns of the input.
        hidden: width of the hidden layer.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.activation = nn.LeakyReLU()
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (B, features) to numbers (B,)."""
        x = self.activation(self.hidden(x))
        x = self.output(x)
        return x.squeeze(1)
