"""What the trainings of all families share: run folder, checkpoints, optimiser, several processes. No model."""
