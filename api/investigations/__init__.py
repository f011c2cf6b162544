"""The read side for investigators: everything that happened around a subject, and what was true when."""

from api.investigations.routes import router

__all__ = ["router"]
