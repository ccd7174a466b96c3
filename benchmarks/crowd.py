"""Many clients at once, with as little work of their own as can be: they share the machine with what they measure."""

import asyncio
import re
import time
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One connection that asks for the same page again and again, and counts the answers."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = 0
        self.head = b""
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count what comes of an answer, and ask again once it is whole."""
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, body = self.head.partition(b"\r\n\r\n")
            length = LENGTH.search(head + b"\r\n")
            if b" 200 " not in head[:16] or not length:
                self.fail(RuntimeError(head.decode(errors="replace")))
                return
            self.head, self.missing = b"", int(length[1]) - len(body)
        if self.missing <= 0:
            self.answers += 1
            self.transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        """A server may not hang up on a client."""
        self.fail(error or ConnectionResetError("the server has closed the connection"))

    def fail(self, error: Exception) -> None:
        """Let the measurement end with what went wrong."""
        if not self.ended.done():
            self.ended.set_exception(error)


def requests_a_second(url: str, cookies: str, clients: int = 32, seconds: float = 8) -> float:
    """How many answers a second a server gives to so many clients that ask again at once; raises what one meets."""
    return asyncio.run(_crowd(url, cookies, clients, seconds))


async def _crowd(url: str, cookies: str, clients: int, seconds: float) -> float:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}".rstrip("?")
    head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookies}\r\n\r\n"
    loop = asyncio.get_running_loop()
    place = parts.hostname or "", parts.port or 80
    made = [await loop.create_connection(lambda: Client(head.encode()), *place) for _ in range(clients)]
    crowd = [client for _, client in made]
    await _pause(crowd, seconds / 4)
    begun, before = time.perf_counter(), sum(client.answers for client in crowd)
    await _pause(crowd, seconds)
    rate = (sum(client.answers for client in crowd) - before) / (time.perf_counter() - begun)
    for client in crowd:
        client.ended.cancel()
        client.transport.abort()
    return rate


async def _pause(crowd: list[Client], seconds: float) -> None:
    """Let the clients ask for so long; raises what one of them met."""
    done, _ = await asyncio.wait([client.ended for client in crowd], timeout=seconds)
    for ended in done:
        ended.result()
