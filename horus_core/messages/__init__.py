"""What a value is as bytes, and how many such messages are read as columns."""
