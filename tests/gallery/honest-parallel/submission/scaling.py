"""What the worker processes do; without torch, which each spawned one would have to import."""


def mean(column):
    return sum(column) / len(column)


def width(column):
    return max(column) - min(column)


def scale(column, mean, width):
    return [(value - mean) / width for value in column]
