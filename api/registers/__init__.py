"""The registers: whom notices reached, the blacklist, registrations and their audits, cases and what was promised."""

from fastapi import APIRouter

from api.registers.blacklist import router as blacklist
from api.registers.cases import router as cases
from api.registers.notices import router as notices
from api.registers.registrations import router as registrations

router = APIRouter()
# Side by side, each with the whole prefix: a route of a router in a router is logged without it.
for part in (notices, blacklist, registrations, cases):
    router.include_router(part)

__all__ = ["router"]
