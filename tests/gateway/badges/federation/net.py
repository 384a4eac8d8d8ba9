"""A network of one machine: requests to https://<name>/… reach the ASGI app of that name, or nobody."""

from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount


class Net(httpx.AsyncBaseTransport):
    """httpx's transport for tests. `down`: names that do not answer; `asked`: what was asked of whom."""

    def __init__(self, apps: dict[str, Any]) -> None:
        self.apps = {name: httpx.ASGITransport(app) for name, app in apps.items()}
        self.down: set[str] = set()
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        name = request.url.host
        if name in self.down or name not in self.apps:
            raise httpx.ConnectError(f"nobody answers at {name}")
        return await self.apps[name].handle_async_request(request)


def app(*routes: Any) -> Starlette:
    """A page server with these paths below `/badge`, where a gateway has them."""
    return Starlette(routes=[Mount("/badge", routes=list(routes))])
