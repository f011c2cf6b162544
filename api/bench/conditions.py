"""Under which conditions figures were taken: the machine, the interpreter, the server and its settings."""

import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from api.bench.protocol import Bench

SETTINGS = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "wal_level",
    "data_checksums",
)  # fmt: skip
CPU_INFO = Path("/proc/cpuinfo")


def conditions(bench: Bench, now: datetime) -> dict[str, Any]:
    """Return the conditions of a run."""
    with psycopg.connect(bench.conninfo()) as connection:
        rows = connection.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(SETTINGS)]
        ).fetchall()
    settings: dict[str, Any] = dict(rows)
    return {
        "at": now.isoformat(timespec="seconds"),
        "scale": bench.scale.name,
        "runs": bench.scale.runs,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": settings.pop("server_version"),
        "settings": settings,
    }


def _cpu() -> str:
    """Return the processor's name, as far as the system tells it."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
