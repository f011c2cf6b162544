"""The investigator's console: pages made here, for people who are no programmers.

`shell` is what every page shares, `tables` how lists are shown and taken away; then one module for each part: `finding`
(a word leads to a dispute; worklists), `parties` (who it is about, and everything that happened), `replays` (step by
step), `findings` (what was wrong, what should have been, and putting it right), `dossiers` and `management`.
"""

from fastapi import APIRouter

from api.access import requires
from api.console.dossiers import router as dossiers
from api.console.finding import entrance, files
from api.console.finding import router as finding
from api.console.findings import router as findings
from api.console.management import router as management
from api.console.parties import router as parties
from api.console.replays import router as replays

router = APIRouter()
# Side by side, each with the whole prefix: a route of a router in a router is logged without it.
for part in (finding, management, parties, replays, findings, dossiers):
    router.include_router(part, dependencies=[requires("investigate:read")])

router.include_router(files)

__all__ = ["entrance", "router"]
