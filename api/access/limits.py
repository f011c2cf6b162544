"""How often anybody may ask: a bucket of requests for each principal, and one for each address nobody is known at.

It keeps one caller from taking the service away from the others, and guessing from being cheap. Only this process
counts, in bounded memory: who is forgotten begins with a full bucket.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import Scope

from api.access.principal import Principal
from api.problems import ProblemError

PERSON_PER_S = 300.0  # a page of the console asks a dozen times; a person's script is no denial of service
SYSTEM_PER_S = 5_000.0  # a CRM or a billing system: about what one process answers on two cores
ANONYMOUS_PER_S = 50.0  # health probes, sign-ins, and tokens that let nobody in, from one address
BURST_S = 10.0  # how many seconds' worth may come at once
BUCKETS_MAX = 20_000  # some 4 MB; the least recently seen are forgotten first


class Buckets:
    """Token buckets by name. Belongs to one event loop: nothing here is locked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_names: int = BUCKETS_MAX) -> None:
        self._clock, self._max_names = clock, max_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many names are in mind."""
        return len(self._buckets)

    def wait_s(self, name: str, per_s: float) -> float:
        """Take a request out of a name's bucket and return 0, or return in how many seconds there will be one."""
        now = self._clock()
        full = per_s * BURST_S
        held, at = self._buckets.pop(name, (full, now))
        held = min(full, held + (now - at) * per_s)
        wait = 0.0 if held >= 1.0 else (1.0 - held) / per_s
        self._buckets[name] = (held if wait else held - 1.0), now
        if len(self._buckets) > self._max_names:
            self._buckets.popitem(last=False)
        return wait


class Limits:
    """The limits of an application. A rate of 0 is no limit: what stands before the service has its own."""

    def __init__(
        self,
        person_per_s: float = PERSON_PER_S,
        system_per_s: float = SYSTEM_PER_S,
        anonymous_per_s: float = ANONYMOUS_PER_S,
        buckets: Buckets | None = None,
    ) -> None:
        self.person_per_s, self.system_per_s = person_per_s, system_per_s
        self.anonymous_per_s = anonymous_per_s
        self._buckets = buckets or Buckets()

    def known(self, principal: Principal) -> None:
        """Count a request of somebody who was let in; raises ProblemError."""
        self._take(principal.subject, self.system_per_s if principal.is_system else self.person_per_s)

    def anonymous(self, scope: Scope) -> None:
        """Count a request of nobody in particular, by the address it comes from; raises ProblemError."""
        client = scope.get("client")
        self._take(f"from {network_of(client[0]) if client else '?'}", self.anonymous_per_s)

    def _take(self, name: str, per_s: float) -> None:
        wait_s = self._buckets.wait_s(name, per_s) if per_s else 0.0
        if wait_s:
            after = {"Retry-After": str(max(1, math.ceil(wait_s)))}
            raise ProblemError(
                "access.too_many_requests", "ask less often, or come back later", headers=after
            )


def network_of(address: str) -> str:
    """Return what one caller has: an IPv4 address, or the network of an IPv6 one, of which everybody has many."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
