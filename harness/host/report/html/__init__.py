"""The pages that a browser shows: an instructor's leaderboard, and one run as its student may read it."""
