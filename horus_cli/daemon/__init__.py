"""The commands of ``horus daemon``."""
