"""What runs a graph, without a daemon.

From the ground up, each layer importing only those before it:

``errors`` ``schedule`` ``values``          exceptions, the rule of ticks, encodings
``graph`` ``node``                          the graph as data, and what a user declares
``memory`` ``control`` ``lane``             named memory, the control words, topics
``clock`` ``runner``                        time as a node sees it, one node's part in a tick
``process`` ``shipping`` ``worker``         a node in a process of its own
``coordinator`` ``supervisor`` ``inline``   who runs when; a graph in processes, or in this one
``recording`` ``replay``                    files, what writes and reads them, and what feeds them back
``scheduler`` ``topic``                     the API
"""

from horus_core.processes.standard_streams import open_standard_streams as _open_standard_streams

_open_standard_streams()
