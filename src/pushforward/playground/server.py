"""The server: the page's files and a websocket, for those on this machine who know the address."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

from pushforward.errors import UsageError
from pushforward.extras import requires
from pushforward.playground.files import SERVER, answers, read_files
from pushforward.playground.pictures import Pictures
from pushforward.playground.session import Session

HOST = "127.0.0.1"
#: Pages that may be open at once.
PAGES = 4
#: Bytes of the largest message that is read.
LARGEST_MESSAGE = 64 * 1024
_LAST_PORT = 65535
# Messages of a page that wait to be read before the page itself must wait.
_WAITING = 8
# Seconds in which a client must have said what it wants, and in which a page must answer a ping.
_PATIENCE = 10
# The code of a websocket that is closed by a server that has too much to do.
_TRY_LATER = 1013
# How long a page that trains is listened to before it trains on, in seconds.
_GLANCE = 0.002
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(
    pictures: Pictures | None = None, port: int = 0, opened: Callable[[str], None] = print, token: str | None = None
) -> None:
    """Serve the playground on this machine until interrupted.

    Nobody on another machine can reach it, and on this one, nobody who does not know the token in the address. The page
    sends numbers and names from lists, never code. All sessions are worked on by one thread, in turn, a moment each.

    Args:
        pictures: a flow of images whose latents the page moves.
        port: by default any that is free.
        opened: is called with the address once it can be opened.
        token: the secret in the address; by default a new one.

    Raises:
        UsageError: the port is none, or taken.
        MissingExtraError: without the extra ``play``.

    Example:
        >>> def interrupt(address):
        ...     print(address.startswith("http://127.0.0.1:"), address.endswith("/secret/"))
        ...     raise KeyboardInterrupt
        >>> try:
        ...     serve(opened=interrupt, token="secret")
        ... except KeyboardInterrupt:
        ...     print("closed")
        True True
        closed
    """
    if not isinstance(port, int) or not 0 <= port <= _LAST_PORT:
        raise UsageError(f"serve expects a port from 0 to {_LAST_PORT}, got {port!r}")
    with requires("play", purpose="the playground"):
        import websockets  # noqa: F401

    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise UsageError(
            f"cannot serve on port {port}: {error.strerror}; without --port any that is free is taken"
        ) from error
    with listening:
        asyncio.run(_Playground(pictures, listening, token or secrets.token_urlsafe(24)).run(opened))


class _Playground:
    """What all pages share: the files, the address, the one thread that computes."""

    def __init__(self, pictures: Pictures | None, listening: socket.socket, token: str) -> None:
        self._pictures = pictures
        self._listening = listening
        self._files = answers(read_files(SERVER))
        self._prefix = f"/{token}/"
        port = listening.getsockname()[1]
        self._hosts = [f"{HOST}:{port}", f"localhost:{port}"]
        self._worker = ThreadPoolExecutor(1, "playground")
        self._pages = 0

    async def run(self, opened: Callable[[str], None]) -> None:
        from websockets.asyncio.server import serve

        # What strangers send is theirs to look into: it must not fill our terminal.
        quiet = logging.getLogger("pushforward.playground")
        quiet.setLevel(logging.CRITICAL)
        async with serve(
            self._visit,
            sock=self._listening,
            process_request=self._answer,
            origins=[f"http://{host}" for host in self._hosts],  # type: ignore[arg-type, misc]
            compression=None,
            open_timeout=_PATIENCE,
            ping_interval=_PATIENCE,
            ping_timeout=_PATIENCE,
            close_timeout=1,
            max_size=LARGEST_MESSAGE,
            max_queue=_WAITING,
            server_header=None,
            logger=quiet,
        ) as server:
            opened(f"http://{self._hosts[0]}{self._prefix}")
            await server.serve_forever()

    def _answer(self, connection: Any, request: Any) -> Any:
        """The answer to a request; none to one that may open the websocket."""
        # A page of another site may have its name lead here, but cannot change the name that is asked for.
        if request.headers.get_all("Host") not in [[host] for host in self._hosts]:
            return _respond(HTTPStatus.FORBIDDEN, "this server answers to its own address only")
        if not hmac.compare_digest(request.path[: len(self._prefix)].encode(), self._prefix.encode()):
            return _respond(HTTPStatus.FORBIDDEN, "the address lacks the token that pushforward play printed")
        if request.method != "GET":
            return _respond(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered")
        name = request.path[len(self._prefix) :]
        if name == "socket":
            return None
        if name not in self._files:
            return _respond(HTTPStatus.NOT_FOUND, "no such file")
        kind, content = self._files[name]
        return _respond(HTTPStatus.OK, content, kind)

    async def _visit(self, connection: Any) -> None:
        """Keep one page company until it goes."""
        from websockets.exceptions import ConnectionClosed

        if self._pages >= PAGES:
            # Only from an open websocket does a page learn why it is closed.
            await connection.close(_TRY_LATER, f"{PAGES} pages are open, and no more at once: close one, reload this.")
            return
        self._pages += 1
        try:
            await self._talk(connection, Session(self._pictures))
        except ConnectionClosed:
            pass
        finally:
            self._pages -= 1

    async def _talk(self, connection: Any, session: Session) -> None:
        loop = asyncio.get_running_loop()
        replies = session.greet()
        while True:
            for reply in replies:
                # Waits where the page reads more slowly than we write, so that nothing piles up here.
                await connection.send(reply)
            message = await _next(connection, _GLANCE if session.working else None)
            work = session.advance if message is None else partial(session.answer, message)
            replies = await loop.run_in_executor(self._worker, work)


async def _next(connection: Any, seconds: float | None) -> str | bytes | None:
    """The next message; none where it does not come in so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await connection.recv()
    except TimeoutError:
        return None


def _respond(status: HTTPStatus, content: str | bytes, kind: str = "text/plain; charset=utf-8") -> Any:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    body = content.encode() if isinstance(content, str) else content
    headers = Headers({**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))})
    return Response(status.value, status.phrase, headers, body)
