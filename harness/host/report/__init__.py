"""What a student and what staff are shown of a run."""
