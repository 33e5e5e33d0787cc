"""A plan, executed: in processes or inline."""
