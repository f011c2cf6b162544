"""/docs: the OpenAPI document as one page to read, made here, with nothing loaded from elsewhere.

The framework's own page loads its script from the internet, and is blank on a machine without it.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
details{border-bottom:1px solid #eaeef2;padding:.4rem 0}
summary{cursor:pointer}
b{display:inline-block;min-width:4rem}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f6f8fa}
pre{padding:.8rem;overflow:auto;max-height:24rem}
nav a{margin-right:1rem}
"""
METHODS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Serve the page at /docs. It says nothing that /openapi.json does not."""

    async def page(_request: Request) -> HTMLResponse:
        return HTMLResponse(render(app.openapi()))

    app.add_route("/docs", page, include_in_schema=False)


def render(document: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            operation = operations.get(method)
            if operation is not None:
                tag = next(iter(operation.get("tags", [])), "other")
                by_tag.setdefault(tag, []).append("".join(_operation(method, path, operation)))
    info = document["info"]
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag)
    parts = "".join(f'<h2 id="{escape(t)}">{escape(t)}</h2>{"".join(found)}' for t, found in by_tag.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        f'<nav>{links}<a href="/openapi.json">openapi.json</a></nav>{parts}</body></html>'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
    yield f"{escape(operation.get('summary', ''))}</summary><p>{escape(operation.get('description', ''))}</p>"
    for parameter in operation.get("parameters", []):
        needed = "required" if parameter.get("required") else "optional"
        said = escape(parameter.get("description", ""))
        yield f"<div><code>{escape(parameter['name'])}</code> ({parameter['in']}, {needed}) {said}</div>"
    yield from _example("Body", operation.get("requestBody", {}).get("content", {}))
    for status, answer in operation.get("responses", {}).items():
        yield f"<div><b>{escape(status)}</b> {escape(answer.get('description', ''))}</div>"
        if status.startswith("2"):
            yield from _example("Answer", answer.get("content", {}))
    yield "</details>"


def _example(title: str, content: Mapping[str, Any]) -> Iterator[str]:
    for media in content.values():
        example = media.get("example")
        if example is None:
            example = next((e.get("value") for e in media.get("examples", {}).values()), None)
        if example is not None:
            text = (
                example
                if isinstance(example, str)
                else orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
            )
            yield f"<div>{title}</div><pre>{escape(text)}</pre>"
