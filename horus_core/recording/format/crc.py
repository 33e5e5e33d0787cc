"""CRC32 of what is recorded: as zlib computes it, with the processor's own help where there is any.

>>> crc32(b"123456789") == 0xCBF43926
True
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("HORUS_NATIVE") == "0":
    from zlib import crc32
else:
    try:
        from horus_core.recording.format.fast_crc32 import crc32
    except ImportError:
        from zlib import crc32

__all__ = ["crc32"]
