"""Makes a starter kit: what students get of an assignment, by a list, and searched for leaks."""
