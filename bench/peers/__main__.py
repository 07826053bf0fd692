"""`make bench-peers`: the whole comparison, as tables.

python -m bench.peers [--quick] [--records 200000] [--rounds 5] [--minutes 600] [--only NAME …] [--scenario NAME …]
                      [--series NAME] [--write docs/benchmarks/peers.md] …; --help tells the others

With --series it may be cut off at any time, and the same command goes on where it was.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from bench.peers import growth
from bench.peers.comparison import ALL, PEERS, Comparison
from bench.peers.environments import ENVIRONMENTS, Unavailable
from bench.peers.peer import Command, Peer
from bench.peers.series import Mixed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 000 objects of each collection, one round")
    parser.add_argument("--records", type=int, default=200_000, help="objects of each of the two collections")
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer runs; medians are told")
    parser.add_argument(
        "--trials", type=int, help="in how many of the rounds it is killed and misled (default: in all)"
    )
    parser.add_argument("--bound", type=float, default=600.0, help="seconds that a peer may take for a piece of work")
    parser.add_argument("--minutes", type=float, default=600.0, help="beyond which no run of a peer shall last")
    parser.add_argument("--series", metavar="NAME", help="keep each result under this name, and take what it lacks")
    parser.add_argument("--estimate", action="store_true", help="tell how long it will take, and begin nothing")
    parser.add_argument("--hostile-records", type=int, default=2_000, help="of each collection, where it misbehaves")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], metavar="NAME")
    parser.add_argument("--scenario", nargs="+", choices=list(ALL), metavar="NAME", default=list(ALL))
    parser.add_argument("--messages", type=int, default=40_000, help="that are consumed")
    parser.add_argument("--seconds", type=float, default=2.0, help="for which each rate of consuming is taken")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(growth.SIZES), help="at which growth is looked at")
    parser.add_argument("--write", type=Path, help="write the tables into this file, below what stands there")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.records, parsed.rounds, parsed.hostile_records = 1_000, 1, 500
        parsed.messages, parsed.seconds, parsed.sizes = 4_000, 0.5, [2_000, 10_000]
    return parsed


def _available(peers: list[type[Peer]]) -> list[type[Peer]]:
    """Those whose environment could be made; of the others it is told why not."""
    ready = []
    for peer in peers:
        try:
            if issubclass(peer, Command):
                ENVIRONMENTS[peer.environment].make()
        except Unavailable as error:
            print(f"{peer.name} is left out: {error}", flush=True)
        else:
            ready.append(peer)
    return ready


def main() -> None:
    options = _options()
    chosen = [each for each in PEERS if options.only is None or each.name in options.only]
    try:
        comparison = Comparison(options, _available(chosen))
    except Mixed as error:
        sys.exit(str(error))
    comparison.estimate()
    if not options.estimate:
        asyncio.run(comparison.run())
        print("\n" + comparison.report())


if __name__ == "__main__":
    main()
