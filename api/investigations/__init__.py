"""For investigators: everything that happened around a subject, what was true when, and what puts it right."""

from fastapi import APIRouter

from api.investigations.accepting import router as accepting
from api.investigations.comparing import router as comparing
from api.investigations.disclosing import router as disclosing
from api.investigations.dossier import router as dossier
from api.investigations.routes import router as questions

router = APIRouter()
# Side by side, each with the whole prefix: a route of a router in a router is logged without it.
for part in (questions, comparing, accepting, disclosing, dossier):
    router.include_router(part)

__all__ = ["router"]
