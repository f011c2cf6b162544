"""The read side for billing: what accounts owe, from the read model billing_status, and how far that model is."""

from api.billing.routes import router

__all__ = ["router"]
