"""How payloads lie in `records.data`: the JSON text itself, or compressed."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import zstandard

from headrace.errors import ImplementationError

PLAIN, ZSTD = 0, 1

# Below this a frame's own bytes eat what it saves. Level 1: level 3 was measured 1 % smaller at twice the time.
_WORTH_IT = 160
_LEVEL = 1
_LARGEST = 16 << 20

_whole = msgspec.json.Decoder(msgspec.Raw)
_own = threading.local()  # zstd's contexts may not be used by two threads at once


class Payload(NamedTuple):
    """A record's JSON text as it lies in the row."""

    codec: int
    data: bytes


def pack(raws: Sequence[bytes]) -> list[Payload]:
    """Records' JSON texts as they are stored.

    They are compressed by one call, which lets go of the interpreter's lock: made in a thread, it costs the event loop
    nothing. A call for each text would come back for the lock each time, and wait for it up to 5 ms.
    """
    worth = [raw for raw in raws if len(raw) >= _WORTH_IT]
    if not worth:
        return [Payload(PLAIN, raw) for raw in raws]
    try:
        compressor = _own.compressor
    except AttributeError:
        compressor = _own.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    packed = iter(compressor.multi_compress_to_buffer(worth))
    return [_smaller(raw, next(packed).tobytes()) if len(raw) >= _WORTH_IT else Payload(PLAIN, raw) for raw in raws]


def _smaller(raw: bytes, packed: bytes) -> Payload:
    return Payload(ZSTD, packed) if len(packed) < len(raw) else Payload(PLAIN, raw)


def unpack(codec: int, data: bytes) -> bytes:
    """The JSON text that `pack` was given, byte for byte."""
    if codec == PLAIN:
        return data
    raw: bytes = _decompressor().decompress(data)
    return raw


def unpack_all(payloads: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """The JSON texts of many payloads, by one call, as `pack` makes them."""
    frames: list[bytes | bytearray | memoryview[int]] = [data for codec, data in payloads if codec != PLAIN]
    if not frames:
        return [data for _, data in payloads]
    unpacked = iter(_decompressor().multi_decompress_to_buffer(frames))
    return [data if codec == PLAIN else next(unpacked).tobytes() for codec, data in payloads]


def _decompressor() -> zstandard.ZstdDecompressor:
    try:
        decompressor: zstandard.ZstdDecompressor = _own.decompressor
    except AttributeError:
        decompressor = _own.decompressor = zstandard.ZstdDecompressor()
    return decompressor


def check(raw: bytes, what: str) -> None:
    """Refuse text that is not JSON in UTF-8: it is spliced into our answers as it stands.

    Raises ImplementationError naming `what`; a provider's broken answer should have been refused where it was read.
    """
    if len(raw) > _LARGEST:
        raise ImplementationError(f"{what} has {len(raw)} bytes; a record may have {_LARGEST}")
    try:
        if not raw.isascii():
            raw.decode()
        _whole.decode(raw)
    except UnicodeDecodeError as error:
        raise ImplementationError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None
    except (msgspec.DecodeError, RecursionError):
        _check_slowly(raw, what)


def _check_slowly(raw: bytes, what: str) -> None:
    # The fast check refuses half surrogate pairs, which JSON's grammar allows (RFC 8259 §8.2).
    import json

    try:
        json.loads(raw, parse_constant=_refuse)
    except RecursionError:
        raise ImplementationError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ImplementationError(f"{what} is not JSON: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
