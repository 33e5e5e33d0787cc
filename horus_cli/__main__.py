"""``python -m horus_cli``."""

from horus_cli.main import main

main()
