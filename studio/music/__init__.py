"""Music as data: scores, their files, their sound and their paper. Light: no torch, no state between two calls."""
