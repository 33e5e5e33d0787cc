"""The folder of sessions: finding, listing, editing, repairing, clearing away."""
