"""HTTP to providers: one request, one answer, nothing followed and nothing tried again.

Where a request may go is asked of `Destinations` before it is sent, and of the connector when the name was resolved.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from headrace import __version__
from headrace.egress import connector
from headrace.http import Request

MOST_BYTES = 64 * 1024 * 1024
QUIET_S = 60.0
TOTAL_S = 300.0
_CONNECT_S = 10.0
_IDLE_S = 30.0
_NAMES_KEPT_S = 60
_MOST_CONNECTIONS = 256
_CHUNK = 256 * 1024


class AnswerTooLarge(Exception):
    """The answer, decompressed, has more than MOST_BYTES."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, the body decompressed; repeated headers are joined with commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Two pools of connections: to public addresses, and to any for credentials with a development `base_url`.

    No cookies, no redirects, no proxies from the environment. A call is given 10 s to connect, `quiet_s` without a byte
    and `total_s` in all.
    """

    def __init__(self, *, quiet_s: float = QUIET_S, total_s: float = TOTAL_S) -> None:
        self._quiet_s = quiet_s
        self._total_s = total_s
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def send(self, request: Request, url: URL, *, private: bool, total_s: float | None = None) -> Answer:
        """Send `request` to `url` (its query included) and read the answer to its end, within `total_s` where this one
        is given less than others.

        Raises what aiohttp raises, TimeoutError, and AnswerTooLarge. When it is cancelled the connection is closed.
        """
        timeout = aiohttp.ClientTimeout(
            total=self._total_s if total_s is None else min(total_s, self._total_s),
            sock_connect=_CONNECT_S,
            sock_read=self._quiet_s,
        )
        async with self._session(private).request(
            request.method, url, headers=request.headers, data=request.body, timeout=timeout, allow_redirects=False
        ) as response:
            body = await _read(response)
            headers: dict[str, str] = {}
            for name, value in response.headers.items():
                name = name.lower()
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            return Answer(response.status, headers, body)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _session(self, private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(private)
        if session is None:
            session = self._sessions[private] = aiohttp.ClientSession(
                connector=connector(
                    private=private,
                    limit=_MOST_CONNECTIONS,
                    keepalive_timeout=_IDLE_S,
                    ttl_dns_cache=_NAMES_KEPT_S,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": f"headrace/{__version__}"},
                auto_decompress=True,
            )
            # aiohttp would send a GET a second time when a kept connection breaks, without a permit, and tell nobody;
            # it has no public switch for that. What broke is tried again by the transport, which counts.
            session._retry_connection = False
        return session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MOST_BYTES:
        response.close()
        raise AnswerTooLarge
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            response.close()
            raise AnswerTooLarge
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
