"""Recordings: the format, how it is written, and everything that reads it.

``format``   schemas, header and checksums of the files (the specification is docs/recording-format.md)
``writer``   turns drained lanes into record batches and files
``reader``   opens a session, ``file`` one of its files: whole, being written, cut or damaged
``sessions`` the folder of sessions: find, list, name, delete

How a file is read, from the bytes up: ``content`` (a regular file's bytes), ``metadata`` and ``frames`` (where its batches
lie), ``preamble`` (header and footer), ``dictionaries``, ``body`` (a batch as arrays), ``messages``, ``ticks`` and ``windows``
(rows in large blocks, several streams side by side), ``layout`` and ``slots`` (many payloads at once).

What is done with sessions: ``summary``, ``compare``, ``export``, ``repair``, ``edit`` (trim, merge, rename), ``clean``.

No module here is imported by a node's process; ``import horus`` does not import pyarrow.
"""
