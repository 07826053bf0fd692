"""What a dictionary does for a collection's payloads: bytes a record, and processor time to pack and to unpack it,
without one, with one, and with one that was trained on samples as they are, of which nothing was left out.

The codec alone, in one thread. The dictionary is trained on 200 records, and others are packed.

python -m bench.dictionaries [--quick] [--records 4000]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import zstandard

from bench.append import charge
from bench.report import check, figure
from headrace.stream.codec import Dictionary, pack, unpack
from headrace.stream.training import train
from headrace.testing.stripe import StripeServer

SAMPLES = 200
A_PAGE = 100
"""So many are packed and unpacked by a call."""
_AS_THEY_ARE = 16 << 10
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--records", type=int, default=4000)
    chosen = parser.parse_args()
    records = SAMPLES + (chosen.records // 10 if chosen.quick else chosen.records)
    stripe = StripeServer({"customers": records, "charges": records}).account
    _report("made-up charges of bench.append", [charge(number, 0) for number in range(records)])
    for collection in ("charges", "customers"):
        texts = [stripe.raw(collection, number) for number in range(records)]
        _report(f"{collection} of the Stripe server", texts)


def _report(what: str, texts: Sequence[bytes]) -> None:
    samples, rest = texts[:SAMPLES], texts[SAMPLES:]
    trained = train(samples)
    check(trained is not None, f"no dictionary is made of {what}")
    assert trained is not None
    figure(f"{what}: a text", sum(map(len, rest)) / len(rest), "bytes")
    _packed("without", rest, None)
    _packed("with a dictionary", rest, Dictionary(trained))
    _packed("with one of all that the samples hold", rest, Dictionary(_of_all(samples)))


def _of_all(samples: Sequence[bytes]) -> bytes:
    return zstandard.train_dictionary(_AS_THEY_ARE, list(samples)).as_bytes()


def _packed(how: str, texts: Sequence[bytes], dictionary: Dictionary | None) -> None:
    pages = [texts[start : start + A_PAGE] for start in range(0, len(texts), A_PAGE)]
    packed, pack_s = _timed(lambda: [pack(page, [dictionary] * len(page)) for page in pages])
    payloads = [[(each.codec, each.data, dictionary) for each in page] for page in packed]
    unpacked, unpack_s = _timed(lambda: [unpack(page) for page in payloads])
    check([text for page in unpacked for text in page] == list(texts), "what was packed did not come back")
    size = sum(len(each.data) for page in packed for each in page)
    figure(f"  {how}: packed", size / len(texts), "bytes")
    figure("    to pack, to unpack it", pack_s / len(texts) * 1e6, f"and {unpack_s / len(texts) * 1e6:.2g} us")


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the least processor time that it took, in seconds, of five times."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        result = work()
        taken.append(time.process_time() - began)
    return result, min(taken)


if __name__ == "__main__":
    main()
