"""What a user declares, and the graph as frozen data, checked once."""
