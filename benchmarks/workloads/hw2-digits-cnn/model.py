"""A small convolutional network: a stroke learnt at one place is known at every other."""

from torch import Tensor, nn

SIDE, WHITE = 24, 9.0


class MyModel(nn.Module):
    """Two convolutions, each followed by a pooling that halves the image, and a perceptron on top.

    Args:
        channels: of the first convolution; the second has twice as many.
        hidden: width of the perceptron's hidden layer.
        dropout: share of hidden activations dropped in training.
    """

    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * channels * (SIDE // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (B, 576) to scores (B, 10)."""
        scores: Tensor = self.layers(x.reshape(-1, 1, SIDE, SIDE) / WHITE)
        return scores
