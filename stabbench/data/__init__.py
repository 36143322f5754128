"""Reading labelled text: every bad row is named."""
