"""A command that uses the embedded PostgreSQL, for test_embedded.py to start, ask and kill.

It says one line of JSON after its start and after each word it is told: `go` (only with --wait, before the
start), `ensure`; `close` or the end of its input ends it.
"""

import json
import sys
import time
from pathlib import Path

from domain.ledger.embedded import EmbeddedError, EmbeddedPostgres


def say(**said):
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(data, *options):
    progress = []
    user = EmbeddedPostgres(Path(data), progress=progress.append)
    if "--wait" in options:
        say(ready=True)
        sys.stdin.readline()
    begun = time.monotonic()
    try:
        say(conninfo=user.start(), progress=progress, seconds=time.monotonic() - begun)
        for line in sys.stdin:
            if line.strip() == "close":
                break
            say(conninfo=user.ensure())
    except EmbeddedError as error:
        say(error=str(error))
    user.close()


main(*sys.argv[1:])
