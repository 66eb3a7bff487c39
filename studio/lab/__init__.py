"""The laboratory: collecting and checking training data, and judging what a training made of it."""
