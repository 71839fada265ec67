"""The commands of ``harness``: each reads its options, has the work done, and says what came of it."""

GRADED, NOT_OK, WRONG_USE, MACHINE_FAULT = 0, 1, 2, 3  # exit statuses
