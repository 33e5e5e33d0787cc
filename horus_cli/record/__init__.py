"""``horus record``: one module per command, and what they share.

``options``  arguments and options that several commands take, with their shell completion
``player``   what a person sees and steers while a replay runs
"""
