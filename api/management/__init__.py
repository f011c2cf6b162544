"""For management: what is complained of most, who was held to account, what is put right, and a party at a glance."""

from fastapi import APIRouter

from api.access.principal import INVESTIGATE_READ
from api.extracts import extracts_of
from api.management.accountability import router as accountability
from api.management.actions import router as actions
from api.management.hot_spots import router as hot_spots
from api.management.parties import router as parties
from api.runtime import READ_MODELS

router = APIRouter()
extracts = extracts_of(
    "management", INVESTIGATE_READ, [model for model in READ_MODELS if not model.for_billing]
)
# Side by side, each with the whole prefix: a route of a router in a router is logged without it.
for part in (hot_spots, accountability, actions, parties, extracts):
    router.include_router(part)

__all__ = ["router"]
