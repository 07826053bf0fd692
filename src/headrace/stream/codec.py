"""How payloads lie in `records.data`: the JSON text itself, or compressed, with a dictionary or without."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import zstandard

from headrace.errors import ImplementationError

PLAIN, ZSTD, WITH_DICTIONARY = 0, 1, 2

# Below this a frame's own bytes eat what it saves. Level 1: level 3 was measured 1 % smaller at twice the time.
_WORTH_IT, _WORTH_IT_WITH_DICTIONARY = 160, 64
_LEVEL = 1
# A dictionary's tables are made for small texts: 64 kB take more time with it and save 7 %, 16 MB become twice as
# large as without.
LARGEST_WITH_DICTIONARY = 32 << 10
LARGEST = 16 << 20
"""The bytes that a record's JSON text may have."""

_whole = msgspec.json.Decoder(msgspec.Raw)
_own = threading.local()  # zstd's contexts may not be used by two threads at once


class Payload(NamedTuple):
    """A record's JSON text as it lies in the row."""

    codec: int
    data: bytes


class Dictionary:
    """What the texts of a collection have in common, as zstd uses it. Immutable; some 75 kB with its tables."""

    def __init__(self, text: bytes) -> None:
        self._zstd = zstandard.ZstdCompressionDict(text, dict_type=zstandard.DICT_TYPE_FULLDICT)
        self._zstd.precompute_compress(level=_LEVEL)
        self.dict_id: int = self._zstd.dict_id()

    def compressor(self) -> zstandard.ZstdCompressor:
        return zstandard.ZstdCompressor(level=_LEVEL, dict_data=self._zstd)

    def decompressor(self) -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor(dict_data=self._zstd)


def dict_id(frame: bytes) -> int:
    """Which dictionary a frame was made with, as its header says (RFC 8878, 3.1.1.1.3)."""
    return int(zstandard.get_frame_parameters(frame).dict_id)


def pack(raws: Sequence[bytes], dictionaries: Sequence[Dictionary | None] | None = None) -> list[Payload]:
    """Records' JSON texts as they are stored, each with the dictionary in its place.

    Those of one dictionary are compressed by one call, which lets go of the interpreter's lock: made in a thread, it
    costs the event loop nothing. A call for each text would come back for the lock each time, and wait for it up to
    5 ms.
    """
    payloads = [Payload(PLAIN, raw) for raw in raws]
    groups: dict[Dictionary | None, list[int]] = {}
    for place, raw in enumerate(raws):
        dictionary = dictionaries[place] if dictionaries and len(raw) <= LARGEST_WITH_DICTIONARY else None
        if len(raw) >= (_WORTH_IT if dictionary is None else _WORTH_IT_WITH_DICTIONARY):
            groups.setdefault(dictionary, []).append(place)
    for dictionary, places in groups.items():
        codec = ZSTD if dictionary is None else WITH_DICTIONARY
        frames = _compressor(dictionary).multi_compress_to_buffer([raws[place] for place in places])
        for place, frame in zip(places, _segments(frames), strict=True):
            if len(frame) < len(raws[place]):
                payloads[place] = Payload(codec, frame)
    return payloads


def unpack(payloads: Sequence[tuple[int, bytes, Dictionary | None]]) -> list[bytes]:
    """The JSON texts that `pack` was given, byte for byte, of (codec, data, the dictionary it was made with); likewise
    by few calls."""
    texts = [data for _, data, _ in payloads]
    groups: dict[Dictionary | None, list[int]] = {}
    for place, (codec, _, dictionary) in enumerate(payloads):
        if codec != PLAIN:
            groups.setdefault(dictionary, []).append(place)
    for dictionary, places in groups.items():
        unpacked = _decompressor(dictionary).multi_decompress_to_buffer([texts[place] for place in places])
        for place, text in zip(places, _segments(unpacked), strict=True):
            texts[place] = text
    return texts


def _segments(buffer: zstandard.BufferWithSegmentsCollection) -> list[bytes]:
    return [buffer[at].tobytes() for at in range(len(buffer))]


def _compressor(dictionary: Dictionary | None) -> zstandard.ZstdCompressor:
    if dictionary is not None:
        return dictionary.compressor()  # its tables are made: 36 us a call, and none kept for each thread
    try:
        compressor: zstandard.ZstdCompressor = _own.compressor
    except AttributeError:
        compressor = _own.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return compressor


def _decompressor(dictionary: Dictionary | None) -> zstandard.ZstdDecompressor:
    if dictionary is not None:
        return dictionary.decompressor()
    try:
        decompressor: zstandard.ZstdDecompressor = _own.decompressor
    except AttributeError:
        decompressor = _own.decompressor = zstandard.ZstdDecompressor()
    return decompressor


def refusal(raw: bytes) -> str | None:
    """Why a text cannot be stored whatever it says, as what follows its name in a sentence; None: its form may still
    forbid it (`check`)."""
    if len(raw) > LARGEST:
        return f"has {len(raw)} bytes; a record may have {LARGEST}"
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return f"is not UTF-8: {error.reason} at byte {error.start}"
    return None


def check(raw: bytes, what: str, *, parsed: bool = False) -> None:
    """Refuse text that is not JSON in UTF-8: it is spliced into our answers as it stands. Of text that was `parsed`
    it is known to be JSON.

    Raises ImplementationError naming `what`; a provider's broken answer should have been refused where it was read.
    """
    if (reason := refusal(raw)) is not None:
        raise ImplementationError(f"{what} {reason}")
    if parsed:
        return
    try:
        _whole.decode(raw)
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
