"""Everything ever made, with its settings and its ancestry."""
