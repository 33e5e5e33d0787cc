"""Measures HORUS and what it is compared with: the same work, in one run, on one machine.

``python -m benchmarks NAME`` runs one of them, ``all`` every one, ``check`` compares ratios with the committed table.
The README beside this file says what each measures, and holds the table.

    __main__     the command
    suite        the benchmarks by name
    <name>       one module per benchmark: who takes part, how often, against which goal
    rounds       runs the participants in turn and gathers their samples
    program      one participant: a program that prints its samples as JSON
    report       rows: the printed table, the JSON file, the README's block
    guard        ``check``
    plots        the pictures
    machine      what it ran on
    native/      yardsticks in C, compiled on the spot
    runners/     programs that run HORUS
    peers/       programs that run the others; they import nothing of HORUS
"""
