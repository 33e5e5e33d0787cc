"""A running graph, looked at and stopped from outside."""
