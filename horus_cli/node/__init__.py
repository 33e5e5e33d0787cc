"""``horus node``: one module per command."""
