"""What survives a grading: runs and their scores in a database, and what they were made of in a folder."""
