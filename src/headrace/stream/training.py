"""Making a dictionary of samples, so that nothing of a single record is in it.

A dictionary outlives what it was made of: a record may be purged, or erased because a person asked for it. So it is
trained on samples in which every key and value that few of them share is replaced by noise, and so is what names a
person wherever it stands. What a dictionary can hold of a record are keys and values, or beginnings of values, that a
quarter of the records have; how rare text is spelled is kept as frequencies of characters, by which it is compressed.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from random import Random

import xxhash
import zstandard

from headrace.stream.codec import LARGEST_WITH_DICTIONARY, Dictionary, pack

FEWEST = 50
"""Of fewer samples no dictionary is made."""
SHARED_BY = 4
"""One of so many samples must have what may be in a dictionary: of what one person has, a copy seldom is a quarter."""

_SIZE = 16 << 10
_LARGEST_SHARE = 0.9  # of the bytes without it, that are left with a dictionary which is worth keeping
_LOWEST_ID, _HIGHEST_ID = 1 << 15, (1 << 31) - 1  # the ids that are free for private use (RFC 8878, 3.1.1.1.3)

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*')
_PERSONAL = re.compile(rb"@|\\u0040|[0-9](?:[ ()/.-]{0,2}[0-9]){6}")
"""Addresses of mail, and numbers as long as those of telephones, cards and accounts, spaced or not."""
_BREAK = re.compile(rb"[^0-9A-Za-z\x80-\xff]+")
_DIGITS = bytes(b"0123456789"[byte % 10] for byte in range(256))


def train(samples: Sequence[bytes], owner: bytes = b"") -> bytes | None:
    """A dictionary for JSON texts like these, the same for the same samples and owner (whose id it bears: two syncs of
    one account on one stream may have the same samples); None: it would not pay for itself.

    Takes some 0.1 s for 200 texts of 2 kB, most of it Python: call it in a thread.
    """
    samples = [sample for sample in samples if len(sample) <= LARGEST_WITH_DICTIONARY]
    if len(samples) < FEWEST:
        return None
    seed = xxhash.xxh3_64_intdigest(b"".join([owner, *samples]))
    chance = Random(seed)  # noqa: S311 - the noise hides nothing: it is there to be compressed
    try:
        trained = zstandard.train_dictionary(
            _SIZE, [*anonymous(samples, chance)], dict_id=_LOWEST_ID + seed % (_HIGHEST_ID - _LOWEST_ID)
        )
    except zstandard.ZstdError:  # the samples are too small, or have nothing in common
        return None
    text = trained.as_bytes()
    return text if _pays(samples, Dictionary(text)) else None


def anonymous(samples: Sequence[bytes], chance: Random) -> list[bytes]:
    """The samples with noise in place of what fewer than one of `SHARED_BY` have, and of what names a person."""
    enough = len(samples) / SHARED_BY
    tokens = [set(_TOKEN.findall(sample)) for sample in samples]
    having = Counter(chain.from_iterable(tokens))
    common = {token for token, count in having.items() if count >= enough}
    rare = {token for token in having if token not in common or _PERSONAL.search(token)}
    beginnings: Counter[bytes] = Counter()
    for each in tokens:
        beginnings.update({start for token in each - common for start in _beginnings(token)})
    letters: Counter[int] = Counter()
    for token in rare:
        if token.startswith(b'"'):
            letters.update(token[1:-1])
    spelling = _spelling(letters)

    def replaced(match: re.Match[bytes]) -> bytes:
        token = match.group()
        if token not in rare:
            return token
        if not token.startswith(b'"'):
            return chance.randbytes(len(token)).translate(_DIGITS)
        starts = () if token in common else _beginnings(token)
        kept = max((each for each in starts if beginnings[each] >= enough), key=len, default=b'"')
        return kept + chance.randbytes(len(token) - len(kept) - 1).translate(spelling) + b'"'

    return [_TOKEN.sub(replaced, sample) for sample in samples]


def _beginnings(token: bytes) -> list[bytes]:
    """Of a text in quotes, what stands before each word: `"cus_`, `"https://`; of an address of mail nothing."""
    if not token.startswith(b'"') or b"@" in token:
        return []
    return [token[: found.end()] for found in _BREAK.finditer(token, 1, len(token) - 1)]


def _spelling(letters: Counter[int]) -> bytes:
    """A table that turns random bytes into letters as frequent as these."""
    total = letters.total()
    if not total:
        return _DIGITS
    table = b"".join(bytes([letter]) * max(1, round(256 * count / total)) for letter, count in letters.most_common())
    return (table + 256 * table[:1])[:256]


def _pays(samples: Sequence[bytes], dictionary: Dictionary) -> bool:
    without = sum(len(payload.data) for payload in pack(samples))
    with_it = sum(len(payload.data) for payload in pack(samples, [dictionary] * len(samples)))
    return with_it < _LARGEST_SHARE * without
