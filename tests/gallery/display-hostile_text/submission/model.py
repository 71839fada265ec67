from torch import nn

TEXT = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202egnirts | cell | ]]> ``` =1+1"
LINES = "\n::error::graded\n```\n# Feedback on someone else\n[link](https://example.com)\r\n"


class Breakout(Exception):
    def __str__(self):
        return TEXT + LINES


class MyModel(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        print(TEXT + LINES)
        raise Breakout
