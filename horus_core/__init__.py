"""What runs a graph, without a daemon.

A folder is a room; from the ground up, each imports only those before it (ARCHITECTURE.md lists their modules):

``errors``      exceptions that word themselves
``graph``       what a user declares, and the graph as data
``messages``    a value as bytes
``processes``   a child process
``memory``      named memory, the control words, lanes, the hot path
``engine``      one tick
``inspection``  a running graph from outside
``recording``   the files, what writes and reads them, and what is done with them
``execution``   a graph in processes, or in this one
``replay``      what feeds a recording back
``scheduler``   the API of a script
``project``     ``horus.toml``
``trials``      run again, and judge
"""

from horus_core.processes.standard_streams import open_standard_streams as _open_standard_streams

_open_standard_streams()
