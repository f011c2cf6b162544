"""SQL stands in .sql files, each query under its name; this reads them."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

from psycopg.sql import SQL

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(package: str, filename: str) -> dict[str, SQL]:
    """Return the named queries of a package's SQL file."""
    text = (files(package) / filename).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: SQL(cast("LiteralString", body.strip().rstrip(";")))
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def scripts(package: str, folder: str) -> list[tuple[str, str]]:
    """Return a folder's SQL scripts as (name, text), in the order of their names."""
    found = [p for p in (files(package) / folder).iterdir() if p.name.endswith(".sql")]
    return sorted((p.name.removesuffix(".sql"), p.read_text(encoding="utf-8")) for p in found)
