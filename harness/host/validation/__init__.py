"""Looks an assignment over as a reviewer would, before students do: what is sound, doubtful, or wrong."""
