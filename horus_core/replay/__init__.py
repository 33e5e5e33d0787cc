"""What replayed nodes send, and what a live one does among them."""
