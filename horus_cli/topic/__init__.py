"""``horus topic``: one module per command."""
