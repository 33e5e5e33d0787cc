"""The commands of ``horus blackbox``."""
