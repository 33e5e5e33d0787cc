"""A flow of messages in real time, recorded, beside a node that burns a core; and how many of them the recording has not.

Every message says which one it is, the sender counts for itself, and the files are read with pyarrow alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import click
import msgspec
import numpy as np

from benchmarks.runners import Notes, report
from horus import Node, Scheduler

RATE = 100  # ticks/s


@click.command()
@click.option("--messages", default=10_000, help="Per second.")
@click.option("--seconds", default=60.0)
@click.option("--cores", default=1, help="How many nodes burn one.")
def main(messages: int, seconds: float, cores: int) -> None:
    """Prints how many messages were lost."""
    notes = Notes()

    def send(node: Node) -> None:
        count = node.state.setdefault("sent", 0)
        for number in range(count, count + messages // RATE):
            node.send("flow", {"number": number, "x": 1.5, "y": -2.0})
        node.state["sent"] = count + messages // RATE

    def receive(node: Node) -> None:
        node.state["got"] = node.state.get("got", 0) + len(node.recv_all("flow"))

    def burn(_: Node) -> None:
        def spin() -> None:
            while True:
                pass

        threading.Thread(target=spin, daemon=True).start()

    def tell(node: Node) -> None:
        notes.write(node.name, [sum(node.state.values()), time.process_time()])

    scheduler = Scheduler(tick_rate=RATE, recording=True)
    scheduler.add(Node(name="sender", tick=send, shutdown=tell, rate=RATE, pubs={"flow": {"capacity": 1024}}))
    scheduler.add(Node(name="receiver", tick=receive, shutdown=tell, rate=RATE, subs={"flow": {"capacity": 1024}}))
    for number in range(cores):
        scheduler.add(Node(name=f"burner{number}", tick=lambda _: None, init=burn, shutdown=tell, rate=1, compute=True))
    scheduler.run(duration=seconds)
    sent, received = int(notes.read("sender")[0]), int(notes.read("receiver")[0])
    recorded, repeated = recorded_numbers([path for path in scheduler.stop_recording() if "sender@" in path])
    progress = scheduler.progress()
    report(
        [sent - recorded],
        sent=sent,
        recorded=recorded,
        repeated=repeated,
        received=received,
        dropped=progress["messages_dropped"],
        missed=progress["deadline_misses"],
        per_second=sent / seconds,
        burnt=sum(notes.read(f"burner{number}")[1] for number in range(cores)) / seconds,
    )


def recorded_numbers(paths: Sequence[str]) -> tuple[int, int]:
    """How many different messages of the flow the files hold, and how many rows beyond that.

    Raises:
        AssertionError: a message's payload and its row disagree.
    """
    import pyarrow as pa

    found = [np.empty(0, dtype=np.int64)]
    for path in paths:
        with pa.OSFile(path) as source:
            file = pa.ipc.open_file(source)
            for batch in (file.get_batch(each) for each in range(file.num_record_batches)):
                payloads = batch.column("payload").to_pylist()
                numbers = np.array([msgspec.msgpack.decode(each)["number"] for each in payloads], dtype=np.int64)
                assert np.array_equal(numbers, batch.column("sequence").to_numpy()), "payload and sequence disagree"
                found.append(numbers)
    rows = np.concatenate(found)
    different = len(np.unique(rows))
    return different, len(rows) - different


if __name__ == "__main__":
    main()
