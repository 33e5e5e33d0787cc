"""What tests of the command share."""

from __future__ import annotations

import pytest

from tests.horus_command import Here


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs commands in the tests' own process."""
    return Here(capsys)
