"""Training: data, losses, one loop per model, checkpoints that resume exactly."""
