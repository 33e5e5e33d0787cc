"""The same recorded inputs give the same outputs, on some random graphs; `tests.exactness` draws and runs many more."""

from __future__ import annotations

import pytest

from tests.exactness import check

# Found wrong once, each by another fault: 5 (restarts inline), 17 and 43 (rows of replayed nodes), 37 and 53 (restarted()), 45
# (third generation).
NUMBERS = (5, 17, 37, 43, 45, 53)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_graph_gives_again_what_it_gave(number: int) -> None:
    assert check(number, real_time=False) == []


@pytest.mark.timeout(180)
def test_so_does_one_in_real_time_with_late_nodes_and_messages_from_outside() -> None:
    assert check(6, real_time=True) == []
