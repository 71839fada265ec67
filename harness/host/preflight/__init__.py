"""``harness check``: a submission is looked over in a few seconds, and never trained to the end or graded.

What is found inside a sandbox comes out as codes and numbers, which are claims; the words are the host's.
"""
