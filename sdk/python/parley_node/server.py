# SPDX-License-Identifier: Apache-2.0
"""The process that Parley starts: one connection, many instances."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from . import loader, wire
from .context import Cancel
from .declaration import Declaration, declare
from .errors import BackPressureError, DeclarationError, EventError, HookFailed, NodeError, ProtocolError, Refused, StateError
from .event import Event
from .instance import Instance
from .line import Limits, Line, Threads
from .version import VERSION

if TYPE_CHECKING:
    from .node import Node

#: Where the host waits: the path of a unix socket, or the number of a file descriptor that the process inherited.
ENV_SOCKET = "PARLEY_NODE_SOCKET"
ENV_FD = "PARLEY_NODE_FD"

#: From here on a hook that emits waits for the host; ctx.emit in an async hook cannot, and fails at the hard limit.
PENDING_HIGH = 256 << 10
PENDING_MAX = 8 << 20
MAX_INSTANCES = 1024
WELCOME_SECONDS = 30.0
REQUEST_SECONDS = 10.0
STOP_SECONDS = 1.5  # a host waits 2 s for the end
FEATURES = ("audio", "state", "conversation", "wake", "telemetry", "log")
THREADS = 16

_READ = 256 << 10
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (0, "debug"))


class Server:
    """Speaks the protocol on one connected socket until the host or a signal ends it."""

    def __init__(self, node: type[Node], declaration: Declaration, sock: socket.socket) -> None:
        self.declaration = declaration
        self.unknown = 0  # messages that were skipped
        self._node = node
        self._sock = sock
        self._instances: dict[int, tuple[Instance, WireLine]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: dict[int, asyncio.Future[wire.Message]] = {}
        self._asked = 0
        self._lock = threading.Lock()
        self._handed = 0  # bytes on their way from threads to the loop
        self._ending = False
        self.features: frozenset[str] = frozenset()  # the host's

    async def run(self) -> None:
        """Serve. It returns when the host is gone or says so, and raises NodeError when it cannot go on."""
        self._loop = asyncio.get_running_loop()
        self.threads = Threads(self._loop, THREADS)
        self._end = asyncio.Event()
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock)
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._loop.add_signal_handler(number, self._end.set)
            except (NotImplementedError, RuntimeError, ValueError):
                continue  # not the main thread, or a system without
        reading = self._loop.create_task(self._read())
        ended = self._loop.create_task(self._end.wait())
        try:
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
            await self._stop_all()
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            ended.cancel()
            await self._close()

    def send(self, message: wire.Message) -> None:
        """Send a message, from any thread."""
        self.write(wire.encode(message))

    def write(self, frame: bytes) -> None:
        """Send a frame, from any thread. Frames of one thread keep their order."""
        if self.threads.on_loop():
            self._write(frame)
            return
        with self._lock:
            self._handed += len(frame)
        try:
            self._loop.call_soon_threadsafe(self._write_handed, frame)
        except RuntimeError:
            return  # the loop has closed

    @property
    def pending(self) -> int:
        """The bytes that wait for the host."""
        return self._handed + self._writer.transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait for the host, if much waits for it."""
        while self.pending > PENDING_HIGH:
            await self._writer.drain()
            if self._handed:
                await asyncio.sleep(0)
            if self._writer.is_closing():
                return

    async def ask(self, message: wire.Message) -> wire.Message:
        """Ask the host for something, and wait for the answer."""
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[wire.Message] = self._loop.create_future()
        self._replies[number] = answer
        try:
            self.send({**message, "id": number})
            return await asyncio.wait_for(answer, REQUEST_SECONDS)
        except asyncio.TimeoutError:
            raise StateError(f"{message['type']}: the host did not answer within {REQUEST_SECONDS:g} s") from None
        finally:
            self._replies.pop(number, None)

    def gone(self, instance: int) -> None:
        """An instance has stopped."""
        self._instances.pop(instance, None)

    def _write(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame)

    def _write_handed(self, frame: bytes) -> None:
        with self._lock:
            self._handed -= len(frame)
        self._write(frame)

    async def _read(self) -> None:
        self.send({
            "type": "hello", "protocol": list(wire.VERSIONS), "sdk": f"parley-node-python/{VERSION}",
            "name": self.declaration.package, "version": self.declaration.version,
            "declaration": self.declaration.wire(), "features": list(FEATURES),
        })
        decoder = wire.Decoder()
        welcomed = False
        while not self._ending:
            read = self._reader.read(_READ)
            try:
                data = await (read if welcomed else asyncio.wait_for(read, WELCOME_SECONDS))
            except asyncio.TimeoutError:
                raise ProtocolError("welcome", None, f"the host says welcome within {WELCOME_SECONDS:g} s of hello") from None
            except ConnectionError:
                return
            if not data:
                return
            for frame in decoder.feed(data):
                if welcomed:
                    self._take(frame)
                elif isinstance(frame, dict):
                    welcomed = self._welcome(frame)
                if self._ending:
                    return

    def _welcome(self, message: wire.Message) -> bool:
        if message["type"] == "refuse":
            raise Refused(str(message.get("code", "")), str(message.get("message", "")))
        if message["type"] != "welcome":
            self.unknown += 1
            return False
        version = wire.integer(message, "protocol")
        if version not in wire.VERSIONS:
            raise ProtocolError("welcome.protocol", version, f"this package speaks {list(wire.VERSIONS)}: install one that fits the host")
        features = message.get("features")
        self.features = frozenset(f for f in features if isinstance(f, str)) if isinstance(features, list) else frozenset(FEATURES)
        return True

    def _take(self, frame: wire.Frame) -> None:
        if isinstance(frame, wire.AudioFrame):
            self._event(frame.instance, frame.sequence, frame.event, None)
            return
        if not isinstance(frame, dict):
            self.unknown += 1
            return
        take = self._messages().get(frame["type"])
        if take is None:
            self.unknown += 1
            return
        take(frame)

    def _messages(self) -> dict[str, Callable[[wire.Message], None]]:
        return {
            "open": self._open, "event": self._on_event, "barge_in": self._barge_in, "cancel": self._cancel, "budget": self._budget,
            "stop": self._stop, "ping": self._ping, "reply": self._reply, "shutdown": lambda message: self._end.set(),
        }

    def _open(self, message: wire.Message) -> None:
        number = wire.integer(message, "instance", high=(1 << 32) - 1)
        if number in self._instances:
            raise ProtocolError("open.instance", number, "is open already: give each instance a number of its own")
        line = WireLine(self, number, _limits(wire.obj(message, "limits")))
        line.set(wire.integer(message, "at", 0))
        if len(self._instances) >= MAX_INSTANCES or self._ending:
            line.failed("open", "overload", f"at most {MAX_INSTANCES} instances")
            return
        instance = Instance(
            self._node, self.declaration, line, session=wire.string(message, "session", ""), turn=wire.string(message, "turn", ""),
            node_id=wire.string(message, "node", ""), config=wire.obj(message, "config"), seed=_seed(message),
        )
        self._instances[number] = (instance, line)
        self._start(self._opening(number, instance))

    async def _opening(self, number: int, instance: Instance) -> None:
        try:
            await instance.open()
        except HookFailed:
            return  # the line has told the host
        if number in self._instances:
            self.send({"type": "opened", "instance": number, "credits": instance.window})

    def _on_event(self, message: wire.Message) -> None:
        number, sequence = wire.integer(message, "instance"), wire.integer(message, "seq")
        budget = None if message.get("budget_ms") is None else wire.integer(message, "budget_ms", low=-(1 << 63))
        self._event(number, sequence, wire.event_from_wire(wire.obj(message, "event")), budget)

    def _event(self, number: int, sequence: int, event: Event, budget_ms: int | None) -> None:
        found = self._instances.get(number)
        if found is None:
            error = {"code": "unknown_instance", "message": f"instance {number} is not open"}
            self.send({"type": "done", "instance": number, "seq": sequence, "error": error})
            return
        found[0].deliver(sequence, event, budget_ms)

    def _with(self, message: wire.Message, answer: str, act: Callable[[Instance], None]) -> None:
        number = wire.integer(message, "instance")
        found = self._instances.get(number)
        if found is not None:
            act(found[0])
        else:
            self.send({"type": answer, "instance": number})

    def _barge_in(self, message: wire.Message) -> None:
        self._with(message, "barged_in", lambda instance: instance.barge_in())

    def _cancel(self, message: wire.Message) -> None:
        cancel = Cancel(wire.string(message, "scope", "turn"), wire.string(message, "reason", ""), wire.string(message, "invocation", ""))
        self._with(message, "cancelled", lambda instance: instance.cancel(cancel))

    def _budget(self, message: wire.Message) -> None:
        outcome = wire.string(message, "outcome", "continue")
        self._with(message, "budgeted", lambda instance: instance.budget(outcome))

    def _stop(self, message: wire.Message) -> None:
        self._with(message, "stopped", lambda instance: instance.stop())

    def _ping(self, message: wire.Message) -> None:
        self.send({"type": "pong", "nonce": message.get("nonce")})

    def _reply(self, message: wire.Message) -> None:
        answer = self._replies.get(wire.integer(message, "id"))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop_all(self) -> None:
        self._ending = True
        instances = [instance for instance, _ in self._instances.values()]
        for instance in instances:
            instance.stop()
        if instances:
            await asyncio.wait([asyncio.ensure_future(instance.join()) for instance in instances], timeout=STOP_SECONDS)

    async def _close(self) -> None:
        for answer in self._replies.values():
            answer.cancel()
        try:
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), 1)
        except (OSError, asyncio.TimeoutError):
            self._writer.transport.abort()
        self.threads.close()


class WireLine(Line):
    """An instance's way to its host by the socket."""

    def __init__(self, server: Server, instance: int, limits: Limits) -> None:
        super().__init__(server.threads, limits)
        self._server = server
        self._instance = instance
        self._why = ""

    def elapsed_ns(self) -> int:
        return time.monotonic_ns()

    def emit(self, sequence: int, event: Event) -> None:
        if self._server.pending > PENDING_HIGH:
            if not self.threads.on_loop():
                self.wait(self.drain())
            elif self._server.pending > PENDING_MAX:
                raise BackPressureError(f"emit: {self._server.pending} bytes wait for the host: write await ctx.drain() between events")
        if event.pcm and wire.is_plain_audio(event):
            self._server.write(wire.encode_audio(self._instance, sequence, event))
            return
        self._server.send({"type": "emit", "instance": self._instance, "seq": sequence, "event": wire.event_to_wire(event)})

    async def drain(self) -> None:
        await self._server.drain()

    def count(self, name: str, n: int) -> None:
        self._server.send({"type": "telemetry", "instance": self._instance, "name": str(name), "n": int(n)})

    def log(self, level: int, text: str) -> None:
        if self._server.pending <= PENDING_HIGH:  # what is only said never waits
            name = next(word for least, word in _LEVELS if level >= least)
            self._server.send({"type": "log", "instance": self._instance, "level": name, "message": text[:16384]})

    def wake(self, at_ns: int | None) -> None:
        self._server.send({"type": "wake", "instance": self._instance, "at": at_ns})

    async def state_get(self, state_class: str, key: str) -> bytes | None:
        answer = await self._ask("state", {"type": "state_get", "class": state_class, "key": key})
        value = answer.get("value")
        if value is None or answer.get("found") is False:
            return None
        try:
            return base64.b64decode(value, validate=True)
        except (ValueError, TypeError):
            raise StateError(f"state: {key!r}: the host's answer is not base64") from None

    async def state_put(self, state_class: str, key: str, value: bytes) -> None:
        await self._ask("state", {"type": "state_put", "class": state_class, "key": key, "value": base64.b64encode(value).decode()})

    async def conversation(self) -> list[dict[str, Any]]:
        items = (await self._ask("conversation", {"type": "conversation"})).get("messages")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    async def _ask(self, feature: str, message: wire.Message) -> wire.Message:
        if feature not in self._server.features:
            raise StateError(f"{message['type']}: this host does not offer {feature}: it offers {sorted(self._server.features)}")
        answer = await self._server.ask({**message, "instance": self._instance})
        error = answer.get("error")
        if error:
            raise StateError(f"{message['type']}: {error.get('message', error) if isinstance(error, dict) else error}")
        return answer

    def done(self, sequence: int, error: str | None, took_us: int) -> None:
        if error is None:
            self._server.write(wire.encode_done(self._instance, sequence, took_us))
            return
        self._server.send({
            "type": "done", "instance": self._instance, "seq": sequence, "took_us": took_us, "error": {"code": error, "message": self._why or error},
        })

    def failed(self, hook: str, code: str, message: str) -> None:
        self._why = f"{hook}: {message}"[:4096]
        self._server.send({"type": "failed", "instance": self._instance, "hook": hook.removeprefix("on_"), "code": code, "message": self._why})
        self._server.gone(self._instance)

    def acknowledged(self, what: str) -> None:
        answer = {"barge_in": "barged_in", "cancel": "cancelled", "budget": "budgeted", "stop": "stopped"}[what]
        self._server.send({"type": answer, "instance": self._instance})
        if what == "stop":
            self._server.gone(self._instance)


def serve(node: type[Node]) -> None:
    """Be a node process: check the declaration, connect to the Parley that started this process, and serve until it
    ends. It is the last line of a node's file, and does nothing while `python -m parley_node` looks at that file."""
    if loader.collected(node):
        return
    try:
        declaration = declare(node)
        sock = _connect()
    except (DeclarationError, NodeError) as err:
        print(err, file=sys.stderr)
        raise SystemExit(2) from None
    server = Server(node, declaration, sock)
    code = 0
    try:
        asyncio.run(server.run())
    except (NodeError, EventError) as err:
        print(f"{declaration.node_type}: {err}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        pass
    if server.threads.busy:  # a sync hook hangs, and the interpreter would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise SystemExit(code)


def _connect() -> socket.socket:
    fd, path = os.environ.get(ENV_FD), os.environ.get(ENV_SOCKET)
    try:
        if fd:
            return socket.socket(fileno=int(fd))
        if path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(path)
            return sock
    except (OSError, ValueError) as err:
        raise NodeError(f"{ENV_FD if fd else ENV_SOCKET}: {fd or path!r}: {err}: Parley sets it, start the node from a spec") from None
    raise NodeError(
        f"{ENV_SOCKET}: None: a node is started by Parley, from a spec that names it. To try this one without: "
        f"python -m parley_node check {sys.argv[0] or 'my_node.py'}"
    )


def _seed(message: wire.Message) -> int | None:
    seed = message.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


def _limits(given: dict[str, Any]) -> Limits:
    """The host's limits. For what has to be quick the host is the only judge: it counts from when it asked."""

    def limit(name: str, default: int | None) -> int | None:
        value = given.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default

    d = Limits()
    return Limits(
        init_ms=limit("init_ms", d.init_ms), start_ms=limit("start_ms", d.start_ms), cancel_ms=None, budget_ms=None,
        stop_ms=limit("stop_ms", d.stop_ms), event_ms=limit("event_ms", d.event_ms), event_hard_ms=limit("event_hard_ms", d.event_hard_ms),
    )
