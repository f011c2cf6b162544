"""The engine of the read models: what a model is, how it is moved along the log, made anew and checked.

`model` says what a read model declares; `folding` moves one along the log, `following` all of them; `generations`
are the makings of a model side by side, of which readers see one, and `building` makes one; `storing` writes rows
and their digests, `verifying` holds them against the log by other means, and `views` shows them to billing systems.
"""

from projections.engine.building import Progress, rebuild
from projections.engine.folding import States, StoppedError, advance
from projections.engine.following import Follower, catch_up
from projections.engine.generations import (
    NotBuiltError,
    Standing,
    install,
    makings,
    outdated,
    reading,
    snapshot,
    standings,
    standings_on,
)
from projections.engine.model import ReadModel, Row, Rows, Seen, Table, Tables, question_of
from projections.engine.verifying import Difference, Verdict, verify

__all__ = [
    "Difference",
    "Follower",
    "NotBuiltError",
    "Progress",
    "ReadModel",
    "Row",
    "Rows",
    "Seen",
    "Standing",
    "States",
    "StoppedError",
    "Table",
    "Tables",
    "Verdict",
    "advance",
    "catch_up",
    "install",
    "makings",
    "outdated",
    "question_of",
    "reading",
    "rebuild",
    "snapshot",
    "standings",
    "standings_on",
    "verify",
]
