"""Reads what students push, as data: nothing is checked out, and nothing of a repository is run."""
