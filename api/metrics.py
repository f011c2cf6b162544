"""What Prometheus may know: counts, durations and positions, and never an id or anything personal.

Each application has a registry of its own, so that one process may hold several.
"""

import contextlib
from collections.abc import Iterator

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from domain.ledger.database import StorageError
from domain.ledger.deployment import Deployment
from domain.ledger.outbox import count_queued
from projections.engine import makings, standings

DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger(__name__)


class Metrics:
    """One application's metrics."""

    def __init__(self, deployment: Deployment) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "recount_http_requests",
            "Requests answered, by route template.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "recount_http_request_duration_seconds",
            "How long requests took, by route template.",
            ["method", "route"],
            registry=self.registry,
            buckets=DURATION_BUCKETS_S,
        )
        self._commands = Counter(
            "recount_commands",
            "Commands answered: accepted, repeated (the first answer again), or the code of the refusal.",
            ["command", "outcome"],
            registry=self.registry,
        )
        self.open_streams = 0
        Gauge("recount_feed_streams", "Event streams that are open.", registry=self.registry).set_function(
            lambda: self.open_streams
        )
        self.registry.register(LedgerCollector(deployment))

    def request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request; a method nobody knows is counted as OTHER."""
        name = method if method in METHODS else "OTHER"
        self._requests.labels(name, route, str(status)).inc()
        self._durations.labels(name, route).observe(duration_s)

    def command(self, command: str, outcome: str) -> None:
        """Count a command by what it came to."""
        self._commands.labels(command, outcome).inc()

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Count an event stream as open while the block runs; on the event loop's thread only."""
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1


class LedgerCollector(Collector):
    """Asks the ledgers and their read models how far they are, whenever Prometheus asks."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; where the storage does not answer, only that it does not."""
        up = GaugeMetricFamily("recount_storage_up", "1 where the database answers.")
        position = GaugeMetricFamily(
            "recount_ledger_position", "A ledger's last position.", labels=["ledger"]
        )
        labels = ["ledger", "model"]
        reached = GaugeMetricFamily(
            "recount_read_model_position", "How far a model has folded.", labels=labels
        )
        lag = GaugeMetricFamily(
            "recount_read_model_lag_events", "Events a model has yet to fold.", labels=labels
        )
        failed = GaugeMetricFamily("recount_read_model_failed", "1 where a model has stopped.", labels=labels)
        rebuilt = GaugeMetricFamily(
            "recount_rebuild_events_done", "Events a rebuild has folded, while there is one.", labels=labels
        )
        rebuilding = GaugeMetricFamily(
            "recount_rebuild_events", "Events a rebuild has to fold, while there is one.", labels=labels
        )
        waiting = GaugeMetricFamily(
            "recount_notices_queued", "Notices that wait for a gateway.", labels=["ledger"]
        )
        try:
            for ledger in self._deployment.ledgers:
                with self._deployment.database.connection(ledger.schema) as connection:
                    waiting.add_metric([ledger.region], count_queued(connection))
                position.add_metric([ledger.region], ledger.journal.last_position())
                for standing in standings(ledger):
                    which = [ledger.region, standing.name]
                    reached.add_metric(which, standing.position)
                    lag.add_metric(which, standing.lag)
                    failed.add_metric(which, 1.0 if standing.failure else 0.0)
                for making in makings(ledger):
                    rebuilt.add_metric([ledger.region, making.name], making.events_done)
                    rebuilding.add_metric([ledger.region, making.name], making.events)
            up.add_metric([], 1.0)
        except (StorageError, psycopg.Error) as error:
            log.warning("metrics without storage", error=type(error).__name__)
            up.add_metric([], 0.0)
        yield from (up, position, reached, lag, failed, rebuilt, rebuilding, waiting)
