"""The page: what is shown where, the state it is shown from, and the one writer of it."""
