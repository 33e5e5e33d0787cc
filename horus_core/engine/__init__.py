"""One tick: when it is released, who runs, and what a node sees."""
