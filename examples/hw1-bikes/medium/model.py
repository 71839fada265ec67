from torch import Tensor, nn


class MyModel(nn.Module):
    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.activation = nn.LeakyReLU()
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.hidden(x))
        x = self.output(x)
        return x.squeeze(1)
