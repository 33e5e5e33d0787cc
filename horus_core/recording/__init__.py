"""Recordings: the format, how it is written, and everything that reads it.

``format``   schemas, header and checksums of the files (the specification is docs/recording-format.md)
``writer``   turns drained lanes into record batches and files
``reader``   opens one file or one session, whole, cut or damaged
``sessions`` the folder of sessions: find, list, name, delete

No module here is imported by a node's process; ``import horus`` does not import pyarrow.
"""
