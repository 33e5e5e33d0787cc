"""The API of a script: ``Scheduler`` and ``run``."""
