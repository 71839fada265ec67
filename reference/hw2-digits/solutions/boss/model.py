"""A convolutional network of 98,554 parameters that sees each training digit in a new position every time."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, WHITE = 24, 9.0


def block(inputs: int, outputs: int) -> list[nn.Module]:
    """Convolve, normalise, activate, and halve the image."""
    return [
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


class MyModel(nn.Module):
    """Three convolutions and a perceptron; in training the images are moved, turned and resized first.

    Args:
        channels: of the first convolution; each further one has twice as many.
        hidden: width of the perceptron's hidden layer.
        dropout: share of hidden activations dropped in training.
        shift: pixels by which a training image is moved at most, in each direction.
        turn: degrees by which it is turned at most, either way.
        resize: share by which it is made larger or smaller at most.
    """

    def __init__(
        self, channels: int, hidden: int, dropout: float, shift: float, turn: float, resize: float
    ) -> None:
        super().__init__()
        self.shift, self.turn, self.resize = shift, math.radians(turn), resize
        self.layers = nn.Sequential(
            *block(1, channels),
            *block(channels, 2 * channels),
            *block(2 * channels, 4 * channels),
            nn.Flatten(),
            nn.Linear(4 * channels * (SIDE // 8) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (B, 576) to scores (B, 10)."""
        x = x.reshape(-1, 1, SIDE, SIDE) / WHITE
        scores: Tensor = self.layers(self.augmented(x) if self.training else x)
        return scores

    def augmented(self, x: Tensor) -> Tensor:
        """Move, turn and resize each image (B, 1, 24, 24) by chance."""
        turn, resize, right, down = (2 * torch.rand(len(x), 4, device=x.device) - 1).unbind(1)
        angle, scale = self.turn * turn, 1 + self.resize * resize
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        half = SIDE / 2  # affine_grid's coordinates run from -1 to 1
        matrix = torch.stack(
            [cosine, -sine, self.shift / half * right, sine, cosine, self.shift / half * down], dim=1
        )
        grid = functional.affine_grid(matrix.reshape(-1, 2, 3), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, align_corners=False)
