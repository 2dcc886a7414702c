"""A connection to a server of AMQP, used by one thread of its own.

The thread answers the heartbeats of the server while messages are in progress. Callers wait for it no longer than their
lifetime, also where the server does not answer.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from thumbsmith.errors import StoreError
from thumbsmith.lifetime import wait

T = TypeVar("T")

# Seconds for making a connection, and for one call, which may first connect.
REQUEST_SECONDS: Final = 5.0
CALL_SECONDS: Final = 10.0

# The thread may end for this time. The connection of a server that hangs ends with the process.
CLOSE_SECONDS: Final = 1.0

# The server closes a connection that was silent for twice this time. The thread answers more often.
HEARTBEAT_SECONDS: Final = 20
_BEAT_SECONDS: Final = 5.0

# Replies that a retry does not change: no permission, no such queue, it is in use, it has other properties, no such
# virtual host. https://www.rabbitmq.com/amqp-0-9-1-reference#constants
_NOT_FOUND: Final = 404
_PERMANENT: Final = frozenset({403, _NOT_FOUND, 405, 406, 530})


class AmqpConnection:
    """The channel to the queue `name`, opened by the first call of `run` and again after an error.

    `parameters` are those of pika. `label` begins the messages of errors.
    """

    def __init__(self, parameters: Any, name: str, label: str) -> None:
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs each error, with a traceback, and raises it too
        self._parameters, self._name, self._label = parameters, name, label
        self._calls: queue.SimpleQueue[tuple[Callable[[Any], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._connection: Any = None
        self._channel: Any = None
        self._thread = threading.Thread(target=self._serve, name="amqp", daemon=True)
        self._thread.start()

    def run(self, action: Callable[[Any], T]) -> T:
        """Return the result of an action on the channel.

        Raises StoreError, or the error of the current lifetime. After an error of the server or the connection, the
        server has returned all messages to the queue.
        """
        from pika.adapters.utils.connection_workflow import AMQPConnectorException  # noqa: PLC0415 - an extra
        from pika.exceptions import AMQPError  # noqa: PLC0415 - as above

        result: Future[T] = Future()
        self._calls.put((action, result))
        wait(result, CALL_SECONDS)
        if not result.done():
            raise StoreError(f"{self._label}: no answer in time", transient=True)
        try:
            return result.result()
        except (AMQPError, AMQPConnectorException, OSError) as error:
            reason, transient = _meaning(error)
            raise StoreError(f"{self._label}: {reason}", transient=transient) from error

    def close(self) -> None:
        """Close the connection. The server returns the messages that are not acknowledged."""
        self._calls.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=_BEAT_SECONDS)
            except queue.Empty:
                self._answer_heartbeats()
                continue
            if call is None:
                self._disconnect()
                return
            action, result = call
            try:
                result.set_result(action(self._open_channel()))
            except BaseException as error:
                self._disconnect()
                result.set_exception(error)

    def _open_channel(self) -> Any:
        import pika  # noqa: PLC0415 - as above

        if self._connection is None:
            self._connection = pika.BlockingConnection(self._parameters)
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
            self._channel.queue_declare(self._name, passive=True)  # an error where the queue does not exist
        return self._channel

    def _answer_heartbeats(self) -> None:
        if self._connection is not None:
            try:
                self._connection.process_data_events(0)
            except Exception:  # the next call connects again, or has the same error
                self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):  # it is closed anyway
                connection.close()


def _meaning(error: Exception) -> tuple[str, bool]:
    """Return what an error of pika means, as half a sentence, and whether a retry may help."""
    from pika import exceptions  # noqa: PLC0415 - as above

    code = getattr(error, "reply_code", None)
    if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.ProbableAccessDeniedError):
        return "the server refuses the user, the password or the virtual host", False
    if isinstance(error, exceptions.IncompatibleProtocolError):
        return "no server of AMQP 0.9.1 answers there", True
    if code == _NOT_FOUND:
        return "there is no such queue: create it first, with x-queue-type=quorum", False
    return str(getattr(error, "reply_text", "")) or _reason(error), code not in _PERMANENT


def _reason(error: BaseException) -> str:
    """Return the message of an error. An error of pika contains the error of the system as an argument."""
    inner: Any = error
    while not isinstance(inner, OSError):
        found = getattr(inner, "exception", None) or next(iter(getattr(inner, "args", ())), None)
        if not isinstance(found, BaseException):
            return " ".join(str(error).split()) or type(error).__name__
        inner = found
    return inner.strerror or str(inner)
