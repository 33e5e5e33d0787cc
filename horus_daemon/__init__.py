"""``horusd``: the long-lived service that owns graphs, its control protocol and its client."""
