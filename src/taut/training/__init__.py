"""Training: the loop, checkpoints, processes, logs and progress. It knows nothing of what is trained."""
