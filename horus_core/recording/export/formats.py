"""The file formats of an export. Each file is written under another name and gets its own when it is whole."""

from __future__ import annotations

import base64
import io
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from horus_core.errors import InvalidValue, OutputFailed
from horus_core.recording.export.column_types import JSON_TEXT

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


def format_of(path: Path | None, given: str | None) -> str:
    """The format that was asked for, or else the one that the file's name ends in; JSON lines for standard output.

    Raises:
        InvalidValue: there is no such format, or the name does not tell.

    >>> format_of(Path("run.parquet"), None)
    'parquet'
    """
    named = "jsonl" if path is None else SUFFIXES.get(path.suffix.lower())
    found = named if given is None else given
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
        path: where it will be; what is there is replaced when the new one is whole. None for standard output.
        schema: its columns.

    Attributes:
        size: bytes written, once it is whole.

    Raises:
        OutputFailed: it cannot be written.
        BrokenPipeError: nobody reads standard output any more.
    """

    suffix: ClassVar[str]
    as_text: ClassVar[bool] = False  # what is nested comes as JSON text
    shapes: ClassVar[bool] = False  # a line has no place for large arrays: their shape stands for them

    def __init__(self, path: Path | None, schema: pa.Schema) -> None:
        self.path, self.schema, self.rows, self.size = path, schema, 0, 0
        self._name = "standard output" if path is None else str(path)
        self._gathered: list[pa.Table] = []
        self._gathered_rows = self._gathered_bytes = 0
        self._temporary = None if path is None else path.with_name(f".{path.name[:200]}.{os.getpid()}.partial")
        try:
            if path is not None and path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise OutputFailed(self._name, "it is there and is not a regular file")
            self._sink = _standard_output() if self._temporary is None else pa.OSFile(str(self._temporary), "wb")
            self._open(self._sink, schema)
        except (OSError, pa.ArrowException) as problem:
            self.discard()
            raise self._failed(problem) from None

    def _failed(self, problem: BaseException) -> BaseException:
        return problem if isinstance(problem, BrokenPipeError) else OutputFailed(self._name, _line(problem))

    def _open(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        raise NotImplementedError

    def _write(self, table: pa.Table) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        self._writer.close()

    _writer: Any

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
                raise self._failed(problem) from None
        self._gathered, self._gathered_rows, self._gathered_bytes = [], 0, 0

    def finish(self) -> None:
        """Writes the rest and gives the file its name."""
        self._flush()
        try:
            self._close()
            self.size = self._sink.tell()
            self._sink.close()
            if self._temporary is not None and self.path is not None:
                os.replace(self._temporary, os.path.realpath(self.path))
        except (OSError, pa.ArrowException) as problem:
            raise self._failed(problem) from None

    def discard(self) -> None:
        """Removes what was written."""
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


class _StandardOutput(io.RawIOBase):
    """What writes to standard output and leaves it open."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._buffer = sys.stdout.buffer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while len(rest):  # with PYTHONUNBUFFERED it takes as much as the pipe has room for
            rest = rest[self._buffer.write(rest) :]
        return len(data)

    def flush(self) -> None:
        self._buffer.flush()


def _standard_output() -> pa.NativeFile:
    return pa.PythonFile(_StandardOutput(), "w")


class ParquetFile(OutputFile):
    suffix = ".parquet"

    def _open(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(sink, schema)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table)


class ArrowFile(OutputFile):
    suffix = ".arrow"

    def _open(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(sink, schema)

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table.combine_chunks())


class CsvFile(OutputFile):
    """Lists and dicts are JSON text, bytes base64 text, what is missing is empty, NaN is ``NaN``."""

    suffix = ".csv"
    as_text = shapes = True

    def _open(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        fields = [field.with_type(pa.string()) if pa.types.is_binary(field.type) else field for field in schema]
        self._flat = pa.schema(fields)
        self._writer = pacsv.CSVWriter(sink, self._flat)

    def _write(self, table: pa.Table) -> None:
        columns = [_flat_column(table.column(place)) for place in range(table.num_columns)]
        if any(pa.types.is_floating(column.type) and _has_nan(column) for column in columns):
            self._sink.write(_lines(columns))  # pyarrow writes "nan", which polars takes for a text
        else:
            self._writer.write_table(pa.table(columns, schema=self._flat))


def _flat_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_binary(column.type):
        return column
    texts = [value if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, type=pa.string())])


def _has_nan(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.is_nan(column)).as_py())


def _lines(columns: list[pa.ChunkedArray]) -> bytes:
    """The lines that pyarrow's writer makes of these columns, but for NaN."""
    cells = [_cells(column) for column in columns]
    lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    return "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        quote = pa.scalar('"')
        return pc.binary_join_element_wise(quote, pc.replace_substring(column, '"', '""'), quote, "")
    cells = pc.cast(column, pa.string())
    return pc.if_else(pc.is_nan(column), pa.scalar("NaN"), cells) if pa.types.is_floating(column.type) else cells


class JsonLinesFile(OutputFile):
    """One object per line, without the fields that are missing; times are ISO 8601 text, bytes base64 text."""

    suffix = ".jsonl"
    as_text = True

    def _open(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        self._encoder = msgspec.json.Encoder()

    def _write(self, table: pa.Table) -> None:
        columns = [_json_values(table.column(place), field) for place, field in enumerate(self.schema)]
        names, rows = table.column_names, zip(*columns, strict=True)
        lines = ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows)
        text = self._encoder.encode_lines(lines)
        self._sink.write(text if text.isascii() and b"\x7f" not in text else _harmless(text))

    def _close(self) -> None:
        pass


_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")  # C1 controls, and what turns text around


def _harmless(text: bytes) -> bytes:
    """JSON that steers no terminal that it is shown on: such characters stand as ``\\uXXXX``, which is the same text."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _json_values(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    if pa.types.is_temporal(column.type):
        return [None if text is None else text.replace(" ", "T") for text in column.cast(pa.string()).to_pylist()]
    found: list[Any] = column.to_pylist()
    if field.metadata == _JSON_TEXT:
        return [None if text is None else msgspec.Raw(text.encode()) for text in found]
    return found


_JSON_TEXT = pa.field("", pa.string(), metadata=JSON_TEXT).metadata

FORMATS: dict[str, type[OutputFile]] = {
    "csv": CsvFile,
    "parquet": ParquetFile,
    "jsonl": JsonLinesFile,
    "arrow": ArrowFile,
}


def _line(problem: BaseException) -> str:
    found = getattr(problem, "strerror", None) or str(problem)
    return str(found).splitlines()[0] if found else type(problem).__name__
