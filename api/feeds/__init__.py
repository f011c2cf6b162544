"""The log as a feed: CloudEvents by long poll and as server-sent events, from any position, nothing skipped."""

from api.feeds.routes import router

__all__ = ["router"]
