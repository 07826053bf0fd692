"""The web console: server-rendered pages that update themselves.

It is a client of the HTTP API like any other, except that it sits in the same process: whatever it does goes through a
route of the contract with the token of the one who looks, and so through the same checks, the same audit and the same
errors. What no route tells, the figures of many syncs at once and their log, it reads from the floors below.
"""

from headrace.console.app import routes

__all__ = ["routes"]
