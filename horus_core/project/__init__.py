"""``horus.toml``, a new project, what the machine grants, a graph before it runs."""
