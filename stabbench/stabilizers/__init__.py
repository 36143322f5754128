"""What changes training, one method a file."""
