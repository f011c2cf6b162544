"""The write side for CRM: one address per command, under the stream it is asked of, and each stream's state."""

from api.crm.routes import router

__all__ = ["router"]
