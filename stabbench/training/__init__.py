"""Fine-tuning: one loop, the same for every arm."""
