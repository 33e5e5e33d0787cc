"""The file formats of an export. Each file is written under another name and gets its own when it is whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from horus_core.errors import InvalidValue, OutputFailed
from horus_core.recording.export.columns import json_text

_GATHERED_ROWS = 1 << 16
_GATHERED_BYTES = 8 << 20
SUFFIXES = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
}


def format_of(path: Path, given: str | None) -> str:
    """The format that was asked for, or else the one that the file's name ends in.

    Raises:
        InvalidValue: there is no such format, or the name does not tell.

    >>> format_of(Path("run.parquet"), None)
    'parquet'
    """
    found = given if given is not None else SUFFIXES.get(path.suffix.lower())
    if found in FORMATS:
        return found
    known = ", ".join(sorted(FORMATS))
    if given is not None:
        raise InvalidValue("the export format", repr(given), f"one of {known}")
    raise InvalidValue(
        "the export file", repr(str(path)), f"a name that ends in .{known.replace(', ', ', .')}, or a format"
    )


class OutputFile:
    """A table that is being written, in steps.

    Args:
        path: where it will be; what is there is replaced when the new one is whole.
        schema: its columns.

    Raises:
        OutputFailed: it cannot be written.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema, self.rows = path, schema, 0
        self._gathered: list[pa.Table] = []
        self._gathered_rows = self._gathered_bytes = 0
        self._temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.partial")
        try:
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise OutputFailed(str(path), "it is there and is not a regular file")
            self._open(self._temporary, schema)
        except (OSError, pa.ArrowException) as problem:
            self.discard()
            raise OutputFailed(str(path), _line(problem)) from None

    def _open(self, path: Path, schema: pa.Schema) -> None:
        raise NotImplementedError

    def _write(self, table: pa.Table) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def add(self, table: pa.Table) -> None:
        """Appends rows."""
        if not table.num_rows:
            return
        self.rows += table.num_rows
        self._gathered.append(table)
        self._gathered_rows += table.num_rows
        self._gathered_bytes += table.nbytes
        if self._gathered_rows >= _GATHERED_ROWS or self._gathered_bytes >= _GATHERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._gathered:
            try:
                self._write(pa.concat_tables(self._gathered))
            except (OSError, pa.ArrowException) as problem:
                raise OutputFailed(str(self.path), _line(problem)) from None
        self._gathered, self._gathered_rows, self._gathered_bytes = [], 0, 0

    def finish(self) -> None:
        """Writes the rest and gives the file its name."""
        self._flush()
        try:
            self._close()
            os.replace(self._temporary, os.path.realpath(self.path))
        except (OSError, pa.ArrowException) as problem:
            raise OutputFailed(str(self.path), _line(problem)) from None

    def discard(self) -> None:
        """Removes what was written."""
        self._temporary.unlink(missing_ok=True)


class ParquetFile(OutputFile):
    suffix = ".parquet"

    def _open(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(str(path), schema)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def _close(self) -> None:
        self._writer.close()


class ArrowFile(OutputFile):
    suffix = ".arrow"

    def _open(self, path: Path, schema: pa.Schema) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table.combine_chunks())

    def _close(self) -> None:
        self._writer.close()
        self._sink.close()


class CsvFile(OutputFile):
    """Lists and dicts are JSON text, bytes base64 text, what is missing is empty."""

    suffix = ".csv"

    def _open(self, path: Path, schema: pa.Schema) -> None:
        fields = [field.with_type(pa.string()) if _is_nested(field.type) else field for field in schema]
        self._flat = pa.schema(fields)
        self._writer = pacsv.CSVWriter(str(path), self._flat)

    def _write(self, table: pa.Table) -> None:
        columns = [_flat_column(table.column(place)) for place in range(table.num_columns)]
        self._writer.write_table(pa.table(columns, schema=self._flat))

    def _close(self) -> None:
        self._writer.close()


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _flat_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not _is_nested(column.type):
        return column
    texts = [json_text(value) for value in column.to_pylist()]
    if pa.types.is_binary(column.type):
        texts = [text and text.strip('"') for text in texts]
    return pa.chunked_array([pa.array(texts, type=pa.string())])


class JsonLinesFile(OutputFile):
    """One object per line, without the fields that are missing; times are ISO 8601 text, bytes base64 text."""

    suffix = ".jsonl"

    def _open(self, path: Path, schema: pa.Schema) -> None:
        self._file: Any = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    def _write(self, table: pa.Table) -> None:
        columns = [_json_values(table.column(place)) for place in range(table.num_columns)]
        names, rows = table.column_names, zip(*columns, strict=True)
        lines = ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows)
        self._file.write(self._encoder.encode_lines(lines))

    def _close(self) -> None:
        self._file.close()


def _json_values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return [None if text is None else text.replace(" ", "T") for text in column.cast(pa.string()).to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


FORMATS: dict[str, type[OutputFile]] = {
    "csv": CsvFile,
    "parquet": ParquetFile,
    "jsonl": JsonLinesFile,
    "arrow": ArrowFile,
}


def _line(problem: BaseException) -> str:
    found = getattr(problem, "strerror", None) or str(problem)
    return str(found).splitlines()[0] if found else type(problem).__name__
