"""A child process, the cores it runs on, and what travels to it."""
