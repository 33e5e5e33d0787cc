"""Which nodes and topics of a session are kept in another one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from horus_core.errors import InvalidValue, UnknownNode, closest
from horus_core.recording.format.header import GraphRecord
from horus_core.recording.format.patterns import expanded
from horus_core.recording.reading.reader import Session


def senders(session: Session) -> list[str]:
    """Whose messages `session` has a file for."""
    return [node for node in session.senders if session.has_file(node)]


class Kept:
    """What is kept of a session.

    Args:
        session: the session.
        nodes, topics: what is kept, names or patterns; None for all.

    Raises:
        UnknownNode, InvalidValue: the session has no such node, or no such topic.
    """

    def __init__(self, session: Session, nodes: Sequence[str] | None, topics: Sequence[str] | None) -> None:
        self._session = session
        known = sorted({lane.topic for lane in session.graph.lanes})
        self._nodes = session.senders if nodes is None else expanded(nodes, session.senders)
        self._topics = known if topics is None else expanded(topics, known)
        self._all = nodes is None, topics is None
        for node in self._nodes:
            if node not in session.senders:
                raise UnknownNode(f"session {session.name!r}", node, session.senders)
        for topic in self._topics:
            if topic not in known:
                raise InvalidValue("the topic", f"{topic!r}{closest(topic, known)}", f"one of {', '.join(known)}")

    def graph(self, first_tick: int) -> GraphRecord:
        """The graph of the new session. Lanes keep their places, which rows of ticks name; those left out say so."""
        graph = self._session.graph
        lanes = [
            lane
            if lane.node in self._nodes and lane.topic in self._topics
            else msgspec.structs.replace(lane, recorded=False)
            for lane in graph.lanes
        ]
        nodes = [node for node in graph.nodes if node.name in self._nodes]
        return msgspec.structs.replace(graph, first_tick=first_tick, nodes=nodes, lanes=lanes)

    def files(self) -> list[tuple[str, str]]:
        """Kind and node of the files of the new session."""
        kept = [node for node in senders(self._session) if node in self._nodes]
        return [("scheduler", ""), *(("node", node) for node in kept), ("events", "")]

    def rows(self, batch: pa.RecordBatch, kind: str) -> pa.RecordBatch:
        """What is kept of a batch of such a file."""
        all_nodes, all_topics = self._all
        if all_topics if kind == "node" else all_nodes:
            return batch
        column, names = ("topic", self._topics) if kind == "node" else ("node", ["", *self._nodes])
        cells = batch.column(column)
        if pa.types.is_dictionary(cells.type):
            cells = cells.cast(pa.string())
        return _with_own_names(batch.filter(pc.is_in(cells, value_set=pa.array(names))))


def _with_own_names(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch`, whose dictionaries hold no name that it does not use."""
    columns = list(batch.columns)
    for place, column in enumerate(columns):
        if pa.types.is_dictionary(column.type):
            own = column.cast(column.type.value_type).dictionary_encode()
            indices = own.indices.cast(column.type.index_type)
            columns[place] = pa.DictionaryArray.from_arrays(indices, own.dictionary)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
