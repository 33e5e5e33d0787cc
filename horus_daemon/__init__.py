"""``horusd``: the long-lived service that owns graphs, its control protocol and its client.

    horus up, down, ps ...   ->  client  --ROUTER-->  service  ->  owned graphs  ->  processes
    your own tools           <-  client  <--PUB-----  events   <-  observers (shared memory), log files

A graph that the daemon owns runs in a process of its own (`graph`), which no end of the daemon touches: the daemon writes down
what should run (`state`), and finds what does run again by process id and start time (`process`).

What the modules hold: `places` the folders and their modes; `client_to_daemon`, `daemon_to_client` and `events` the messages,
`wire` their form on the socket, `sockets` the sockets; `specs` what a graph is to be, `owned` one graph and its policy,
`listener`, `observer` and `recent` what it says, `service` the requests, `daemon` the loop; `notify` and `machine` systemd;
`journal`, `logfile` and `tail` the logs; `background` starts and ends a daemon.
"""
