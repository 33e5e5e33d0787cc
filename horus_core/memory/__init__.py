"""Names in shared memory, control words, lanes, and the hot path over them."""
