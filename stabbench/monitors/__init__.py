"""What watches training and changes nothing."""
