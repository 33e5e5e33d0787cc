"""``Node``: what a user declares, and the handle that its callbacks get."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

from horus_core.errors import InvalidValue, SchedulerBusy, UnknownTopic
from horus_core.graph.checks import one_of, positive_number, whole
from horus_core.graph.declaration import Topics, declared_topics
from horus_core.graph.declared import Declared
from horus_core.graph.policies import Failure, Miss
from horus_core.graph.restart import DEFAULT_RESTART, Restart
from horus_core.graph.samples import named_samples
from horus_core.graph.spec import NodeSpec

MISS_POLICIES = tuple(map(str, Miss))
FAILURE_POLICIES = tuple(map(str, Failure))
_MOST_SPIN = 0.01  # seconds
_MAX_RATE = 100_000.0

Callback = Callable[..., Any]


class Attachment(Protocol):
    """What a running node is attached to; see `engine.runner`."""

    def send(self, topic: str, data: Any) -> bool: ...
    def recv(self, topic: str, copy: bool = True) -> Any: ...
    def recv_all(self, topic: str, copy: bool = True) -> list[Any]: ...
    def latest(self, topic: str, copy: bool = True) -> Any: ...
    def has_msg(self, topic: str) -> bool: ...
    def sample(self, name: str, function: Callable[[], Any]) -> Any: ...
    def log(self, level: str, message: str) -> None: ...
    def request_stop(self) -> None: ...


class Node(Declared):
    """A node: a callback that runs in ticks, in a process of its own, and talks over topics.

    Args:
        name: unique in its graph; made up if not given.
        tick: ``tick(node)`` or ``tick()``; may be ``async def``.
        rate: ticks per second, in Hz.
        pubs: topics that it publishes: a name, a type, a :class:`Pub`, a list of these, or a dict ``{name: type}``.
        subs: topics that it subscribes to, in the same forms.
        init: called once before the first tick; what cannot be sent to another process (a socket, a lock) is made here.
        shutdown: called once after the last tick.
        on_error: ``on_error(node, exception)`` is called when `tick` raises, and the node goes on.
        order: nodes that share a topic run in ascending order within a tick.
        budget: seconds a tick should take; None for 80 % of the period.
        deadline: seconds after the release at which outputs are due; None for 95 % of the shortest period among its own
            and those of the nodes that hear it.
        on_miss: what a missed deadline does: a :class:`Miss`, or its name: "warn", "skip", "safe_mode" or "stop".
        failure_policy: what an exception or a crash does: a :class:`Failure`, or its name: "fatal", "restart", "skip",
            "ignore"; or a :class:`Restart`.
        compute: may take longer than a tick; its outputs become visible at its next release.
        on: run only in ticks in which this topic has something new.
        priority: SCHED_FIFO priority 1 to 99, higher is more urgent (with ``rt=True``).
        core: the core to pin it to.
        spin: seconds (up to 0.01) that it looks for its turn before it sleeps, for a shorter hand-off across cores. Its
            `core` is kept free of everybody else for that; without a core of its own it never spins.
        watchdog: seconds after which a node stuck in a tick is killed.
        default_capacity: capacity of topics that do not give their own.
        safe_state: called, in the place of `tick`, when the graph enters safe mode; the node does not tick after it.
        memory_mb: MB of data that its process may have; what goes beyond raises MemoryError in the node, or ends it.
        open_files: file descriptors that its process may have.
        samples: names of side inputs, see :meth:`sample`; needed only for those that callbacks do not name literally.

    Attributes:
        state: for the callbacks to keep what they like, an empty dict at first; it stays in the node's process.

    Raises:
        InvalidValue: an argument is not what it must be; the message names it.

    Example:
        >>> node = Node(name="sensor", tick=lambda node: node.send("reading", 1.0), pubs=["reading"], rate=100)
        >>> node.publishers()
        ['reading']
    """

    def __init__(
        self,
        name: str | None = None,
        tick: Callback | None = None,
        rate: float = 30,
        pubs: Topics = None,
        subs: Topics = None,
        init: Callback | None = None,
        shutdown: Callback | None = None,
        on_error: Callback | None = None,
        order: int = 0,
        budget: float | None = None,
        deadline: float | None = None,
        on_miss: str | Miss | None = None,
        failure_policy: str | Failure | Restart | None = None,
        compute: bool = False,
        on: str | None = None,
        priority: int | None = None,
        core: int | None = None,
        spin: float | None = None,
        watchdog: float | None = None,
        default_capacity: int = 1024,
        safe_state: Callback | None = None,
        memory_mb: float | None = None,
        open_files: int | None = None,
        samples: str | Sequence[str] = (),
    ) -> None:
        self.name = _checked_name(name)
        self.state: Any = {}
        self._attachment: Attachment | None = None
        where = f"node {self.name!r}:"
        for what, given_policy, kind in (("on_miss", on_miss, Failure), ("failure_policy", failure_policy, Miss)):
            if isinstance(given_policy, kind):
                raise InvalidValue(f"{where} {what}", repr(given_policy), "a policy of the other kind: Miss or Failure")
        if compute and on is not None:
            raise InvalidValue(f"{where} compute=True", f"given together with on={on!r}", "only one of compute and on")
        self.callbacks: dict[str, Callback] = {}
        given = {"tick": tick, "init": init, "shutdown": shutdown, "on_error": on_error, "safe_state": safe_state}
        for role, callback in given.items():
            if callback is not None or role == "tick":
                self.callbacks[role] = _checked_callback(where, role, callback)
        if inspect.iscoroutinefunction(tick) and compute:
            raise InvalidValue(f"{where} compute=True", "given for an async tick", "a plain function for compute=True")
        self.spec = NodeSpec(
            name=self.name,
            rate=checked_rate(f"{where} rate", rate),
            pubs=declared_topics(where, "pubs", pubs, default_capacity),
            subs=declared_topics(where, "subs", subs, default_capacity),
            order=whole(f"{where} order", order),
            budget=None if budget is None else positive_number(f"{where} budget", budget, "(seconds)"),
            deadline=None if deadline is None else positive_number(f"{where} deadline", deadline, "(seconds)"),
            on_miss=one_of(f"{where} on_miss", on_miss or "warn", MISS_POLICIES),
            failure_policy="restart"
            if isinstance(failure_policy, Restart)
            else one_of(f"{where} failure_policy", failure_policy or "fatal", FAILURE_POLICIES),
            restart=failure_policy if isinstance(failure_policy, Restart) else DEFAULT_RESTART,
            memory_mb=None if memory_mb is None else positive_number(f"{where} memory_mb", memory_mb, "(MB)"),
            open_files=None if open_files is None else whole(f"{where} open_files", open_files, 16),
            safe_state=safe_state is not None,
            compute=bool(compute),
            on=on,
            priority=None if priority is None else whole(f"{where} priority", priority, 1, 99),
            core=None if core is None else whole(f"{where} core", core, 0),
            spin=0.0 if spin is None else _spin(where, spin, core),
            watchdog=None if watchdog is None else positive_number(f"{where} watchdog", watchdog, "(seconds)"),
            samples=_checked_samples(where, samples, named_samples(self.callbacks.values())),
        )
        if on is not None and on not in self.subscribers():
            raise UnknownTopic(self.name, "run on", on, self.subscribers())

    def __repr__(self) -> str:
        return f"Node({self.name!r}, rate={self.spec.rate:g}, pubs={self.publishers()}, subs={self.subscribers()})"

    def __reduce__(self) -> tuple[Callable[[str], Node], tuple[str]]:
        # A callback that names its own node means the one of its process; a copy of another node is only a name.
        return (attached_node, (self.name,))

    def send(self, topic: str, data: Any) -> bool:
        """Sends `data` on `topic`; others receive it once this tick has ended.

        Returns:
            True.

        Raises:
            UnknownTopic: `topic` is not in `pubs`.
            UnsendableValue: no topic carries such a value.
        """
        return self._attached().send(topic, data)

    def recv(self, topic: str, copy: bool = True) -> Any:
        """The oldest unread message on `topic`, None if there is none.

        Args:
            topic: one of `subs`.
            copy: False gives large arrays as read-only views of shared memory, valid until the node's next tick.

        Raises:
            UnknownTopic: `topic` is not in `subs`.
        """
        return self._attached().recv(topic, copy)

    def recv_all(self, topic: str, copy: bool = True) -> list[Any]:
        """All unread messages on `topic`, oldest first; arguments as for :meth:`recv`."""
        return self._attached().recv_all(topic, copy)

    def latest(self, topic: str, copy: bool = True) -> Any:
        """The newest message on `topic`, None if there is nothing unread; older ones are dropped."""
        return self._attached().latest(topic, copy)

    def has_msg(self, topic: str) -> bool:
        """Whether `topic` has an unread message."""
        return self._attached().has_msg(topic)

    def sample(self, name: str, function: Callable[[], Any]) -> Any:
        """What `function` returns, recorded; in a replay what it returned then, without a call.

        So a node that reads a device, a file or a clock in its tick stays reproducible. What it returned is a message of the
        topic ``NODE~name`` and comes back in the form in which a topic delivers it. An exception that `function` raises is
        recorded, and raised again. With an async function the call is awaited: ``await node.sample("gps", read_gps)``.

        Args:
            name: which side input; a literal, or declared with ``Node(samples=[...])``.
            function: reads it; called without arguments.

        Raises:
            UnknownSample: it was not declared.
            SampleMissing: the recording has none there: the node asks for more, or for others, than it did then.
            UnsendableValue: no topic carries what it returned.

        Example:
            >>> def tick(node):
            ...     distance = node.sample("sonar", lambda: 1.5)
        """
        return self._attached().sample(name, function)

    def log_debug(self, message: str) -> None:
        """Logs at level debug, into the node's log."""
        self._attached().log("debug", message)

    def log_info(self, message: str) -> None:
        """Logs at level info, into the node's log and to the terminal."""
        self._attached().log("info", message)

    def log_warning(self, message: str) -> None:
        """Logs at level warning."""
        self._attached().log("warning", message)

    def log_error(self, message: str) -> None:
        """Logs at level error."""
        self._attached().log("error", message)

    def request_stop(self) -> None:
        """Ends the graph after this tick."""
        self._attached().request_stop()

    def attach(self, attachment: Attachment | None) -> None:
        """Connects the handle with a running engine (None: disconnects). The engine calls this, not the user."""
        self._attachment = attachment
        for method in ("send", "recv", "recv_all", "latest", "has_msg"):
            if attachment is None:
                self.__dict__.pop(method, None)
            else:  # an attribute of the instance saves a call on the hot path
                self.__dict__[method] = getattr(attachment, method)

    def _attached(self) -> Attachment:
        if self._attachment is None:
            _refuse_detached(self.name)
        return self._attachment


_of_this_process: dict[str, Node] = {}


def _refuse_detached(name: str) -> NoReturn:
    raise SchedulerBusy(
        f"node {name!r} can use its topics and its log only in its own callbacks", "not running it here"
    )


def attached_node(name: str) -> Node:
    """The node of that name in this process; a detached handle if it lives elsewhere."""
    node = _of_this_process.get(name)
    if node is None:
        node = Node.__new__(Node)
        node.name, node.state, node._attachment = name, {}, None
        node.spec, node.callbacks = NodeSpec(name=name, rate=1.0), {}
    return node


def adopt_node(spec: NodeSpec) -> Node:
    """Makes the handle of the node that this process runs; its callbacks are filled in by the caller."""
    node = attached_node(spec.name)
    node.spec = spec
    _of_this_process[spec.name] = node
    return node


def takes_node(callback: Callback, arguments: int) -> bool:
    """Whether `callback` wants `arguments` positional arguments rather than one fewer.

    A parameter with a default is its owner's (``lambda each=each: ...``), unless it is the first and called ``node``.
    """
    try:
        parameters = list(inspect.signature(callback).parameters.values())
        inspect.signature(callback).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return True
    required = [each for each in positional if each.default is each.empty]
    return len(required) == arguments or positional[0].name == "node"


def checked_rate(what: str, rate: Any) -> float:
    """`rate` as a float.

    Raises:
        InvalidValue: it is not a number above 0 and up to 100000 Hz.
    """
    number = positive_number(what, rate, "Hz")
    if number > _MAX_RATE:
        raise InvalidValue(what, repr(rate), f"at most {_MAX_RATE:g} Hz")
    return number


def _checked_name(name: str | None) -> str:
    if name is None:
        return f"node_{os.urandom(4).hex()}"
    if not isinstance(name, str) or not name.strip() or len(name) > 100 or not name.isprintable():
        raise InvalidValue("a node's name", repr(name)[:120], "1 to 100 printable characters")
    if name in ("external", "scheduler", "events"):
        raise InvalidValue("a node's name", repr(name), "another one; HORUS uses this name itself")
    return name


def _checked_callback(where: str, role: str, callback: Any) -> Callback:
    if not callable(callback):
        raise InvalidValue(f"{where} {role}", repr(callback), f"a function, {role}(node) or {role}()")
    most = 2 if role == "on_error" else 1
    if not takes_node(callback, most) and not takes_node(callback, most - 1):
        call = "(node, exception) or (exception)" if role == "on_error" else f"(node) or {role}()"
        raise InvalidValue(f"{where} {role}", f"{_signature(callback)}", f"{role}{call}")
    return callback  # type: ignore[no-any-return]


def _checked_samples(where: str, declared: str | Sequence[Any], named: Sequence[str]) -> tuple[str, ...]:
    names = [declared] if isinstance(declared, str) else [*declared]
    for name in names:
        if not isinstance(name, str) or not name or len(name) > 100 or not name.isprintable():
            raise InvalidValue(f"{where} a side input", repr(name)[:120], "a name of 1 to 100 printable characters")
    return tuple(dict.fromkeys((*names, *named)))


def _spin(where: str, spin: Any, core: int | None) -> float:
    seconds = positive_number(f"{where} spin", spin, "(seconds)")
    if seconds > _MOST_SPIN:
        raise InvalidValue(f"{where} spin", repr(spin), f"at most {_MOST_SPIN:g} (seconds)")
    if core is None:
        raise InvalidValue(f"{where} spin", f"{spin!r} without core=", "a core of its own: core=N")
    return seconds


def _signature(callback: Any) -> str:
    name = getattr(callback, "__name__", type(callback).__name__)
    return f"{name}{inspect.signature(callback)}"
