"""The page that shows the documentation: Swagger UI from disk, so that it opens without the internet."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from backend.core.version import NAME

# Addresses are relative, so that the page also works behind a proxy, under https and below another path.
_ASSETS = "swagger"
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_OPTIONS = {"tryItOutEnabled": True, "filter": True, "displayRequestDuration": True}


def _policy(page: bytes) -> str:
    """Only our own scripts, the page's inline one by its hash, and calls to this service.

    Swagger UI sets styles inline and draws with data: images.
    """
    scripts = [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in _INLINE.findall(page)]
    allowed = " ".join(["'self'", *(f"'sha256-{each}'" for each in scripts)])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def _docs() -> Response:
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{NAME} API",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon-32x32.png",
        swagger_ui_parameters=_OPTIONS,
    )
    page.headers["content-security-policy"] = _policy(bytes(page.body))
    return page


async def _root() -> Response:
    return RedirectResponse("docs")


def install(app: FastAPI) -> None:
    """Serve the page at `/docs` and its assets beside it; `/` leads there."""
    app.mount(f"/{_ASSETS}", StaticFiles(directory=str(files("fastapi_swagger") / "resources")), name=_ASSETS)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/", _root, include_in_schema=False)
