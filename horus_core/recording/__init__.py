"""Recordings: the format, how it is written, and everything that reads it.

From the ground up, each importing only those before it:

``format``   schemas, header, checksums and frames of the files (the specification is docs/recording-format.md)
``reading``  opens a session, and one of its files: whole, being written, cut or damaged; rows in large blocks
``writing``  turns drained lanes into record batches and files, in a process of its own
``keeping``  the folder of sessions: find, list, trim, merge, repair, rename, delete, clean
``compare``  what differs between two sessions
``export``   tables for others

How a file is read, from the bytes up: ``format.file_bytes`` (a regular file's bytes), ``format.metadata`` and ``format.frames``
(where its batches lie), ``format.header_footer``, ``format.dictionaries``, ``format.raw_batches`` (a batch as arrays),
``reading.file``, ``reading.messages``, ``reading.ticks`` and ``reading.windows`` (rows in large blocks, several streams side by
side), ``reading.columns`` and ``messages.value_offsets`` (many payloads at once).

No module here is imported by a node's process; ``import horus`` does not import pyarrow.
"""
