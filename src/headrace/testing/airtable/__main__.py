"""`python -m headrace.testing.airtable --port 8080 --records 100000`: the server as a process of its own."""

import sys

from headrace.testing.command import main

if __name__ == "__main__":
    sys.exit(main("airtable"))
