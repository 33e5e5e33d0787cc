"""The ``horus`` command. A command parses, asks and shows; what it does is one function that a script can call too."""
