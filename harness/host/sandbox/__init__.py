"""Backends that run the guest behind walls, all behind the seam of `base`."""
