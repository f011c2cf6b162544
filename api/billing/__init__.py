"""The read side for billing: what accounts owe, statements, aging, dunning, what changed, and how far each model is."""

from fastapi import APIRouter

from api.access.principal import BILLING_READ
from api.billing.balances import router as balances
from api.billing.changes import router as changes
from api.billing.dunning import router as dunning
from api.billing.routes import router as accounts
from api.billing.statements import router as statements
from api.extracts import extracts_of
from api.runtime import READ_MODELS

router = APIRouter()
extracts = extracts_of("billing", BILLING_READ, [model for model in READ_MODELS if model.for_billing])
# Side by side, each with the whole prefix: a route of a router in a router is logged without it.
for part in (accounts, statements, balances, dunning, changes, extracts):
    router.include_router(part)

__all__ = ["router"]
