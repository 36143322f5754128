"""What measures a subject, one probe a file."""
