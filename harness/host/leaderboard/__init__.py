"""Ranks an assignment's students by their runs in the store, and shows one split of them.

`runs` reads, `ranking` says who is before whom, `naming` what each is called, `formats` how that is shown.
For the public split, no table is read that tells of the private one.
"""
