"""Reads notebooks: what defines a model becomes the files of a submission; nothing of one is run here."""
