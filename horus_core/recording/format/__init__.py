"""The files of a recording: schemas, header and footer, frames, checksums."""
