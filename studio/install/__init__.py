"""Makes the environment that the studio runs in. Standard library only."""
