"""The command `headrace`: one file a noun. All but `serve`, `demo`, `fake`, `migrate`, `doctor` and `keys` are thin
clients of the HTTP API, at `HEADRACE_URL` with the token `HEADRACE_API_TOKEN`."""

import sys

from headrace.client import ClientError, Invalid
from headrace.errors import HeadraceError


def main() -> None:
    """The entry point. Errors are told in a line or two; the exit code is 1 for them, 2 for a wrong command line."""
    from headrace.cli.app import app
    from headrace.cli.output import complain

    try:
        app()
    except Invalid as error:
        complain(error.summary, *(f"  {field}: {', '.join(reasons)}" for field, reasons in error.errors.items()))
    except ClientError as error:
        complain(str(error))
    except HeadraceError as error:
        complain(error.summary)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing more to say, and nowhere to say it
    sys.exit(1)
