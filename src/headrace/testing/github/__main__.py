"""`python -m headrace.testing.github --port 8080 --records 10000`: the server as a process of its own."""

import sys

from headrace.testing.command import main

if __name__ == "__main__":
    sys.exit(main("github"))
