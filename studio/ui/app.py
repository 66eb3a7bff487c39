"""The page as a whole: one server that shows a splash at once, opens the studio, then hands over to gradio.

Knows how the parts of the interface are put together and served; what the panels show is theirs. gradio and
the studio are imported in the background, so that importing this module is cheap and the first paint does not
wait for them.
"""

import asyncio
import contextlib
import errno
import importlib
import logging
import os
import shutil
import signal
import socket
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from studio.errors import Busy, StudioError
from studio.settings import ASSETS, Settings
from studio.ui import theme, window
from studio.ui.door import Access
from studio.ui.guard import UPLOAD_LIMIT, App, Guard, Message, Receive, Scope, Send, standalone
from studio.ui.panels import PANELS

if TYPE_CHECKING:
    import gradio as gr

    from studio.studio import Studio

log = logging.getLogger(__name__)

UI = ASSETS / "ui"
MANIFEST = {
    "name": "Atelier",
    "short_name": "Atelier",
    "start_url": "/",
    "display": "standalone",
    "background_color": "#0e0e11",
    "theme_color": "#0e0e11",
    "icons": [{"src": "/favicon.ico", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
}


def build(studio: "Studio") -> "gr.Blocks":
    """All tabs as one page, in the order of PANELS."""
    from studio.ui.fast_gradio import gradio as gr

    with gr.Blocks(title="Atelier", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as demo:
        gr.HTML("<h1>Atelier</h1>", elem_id="page-title", elem_classes="unseen", padding=False)
        with gr.Tabs(elem_id="studio", selected=PANELS[0], overflow_behavior="wrap"):
            for name in PANELS:
                panel = importlib.import_module(f"studio.ui.panels.{name}")
                with gr.Tab(panel.TITLE, id=name, elem_id=f"tab-{name}"):
                    panel.build(studio, demo)
    return demo


def mount(demo: "gr.Blocks", settings: Settings, port: int) -> Starlette:
    """The page as an application that may be served behind the guard."""
    import gradio as gr
    from fastapi import FastAPI

    icons = {name: importlib.import_module(f"studio.ui.panels.{name}").ICON for name in PANELS}
    host = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        host,
        demo,
        path="/",
        server_name=settings.host,
        server_port=port,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        max_file_size=UPLOAD_LIMIT,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        theme=theme.theme(),
        css=theme.icon_css(icons),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    return host


class Front:
    """What stands at the port: the splash until the studio is open, then our routes and gradio."""

    def __init__(self) -> None:
        self.page: App | None = None
        self.routes: App | None = None
        self.api: App | None = None
        self.failure: StudioError | None = None
        self.assets = StaticFiles(directory=UI)
        self.opening = theme.opening_tags(UI).encode()
        self.closing = theme.closing_tags(UI).encode()
        self.splash = standalone("splash")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/atelier/ui/"):
            await self.asset({**scope, "path": path.removeprefix("/atelier/ui"), "root_path": ""}, receive, send)
        elif path == "/manifest.json":
            await JSONResponse(MANIFEST, media_type="application/manifest+json")(scope, receive, send)
        elif path == "/favicon.ico":
            await FileResponse(UI / "favicon.svg", media_type="image/svg+xml")(scope, receive, send)
        elif path == "/atelier/ready":
            await self.state()(scope, receive, send)
        elif path.startswith("/atelier/") and self.routes:
            await self.routes(scope, receive, send)
        elif path.startswith("/v1/") and self.api:
            await self.api(scope, receive, send)
        elif path.startswith(("/atelier/", "/v1/")) or self.page is None:
            await self.waiting(path)(scope, receive, send)
        elif path == "/":
            await self.first_page(self.page, scope, receive, send)
        else:
            await self.page(scope, receive, send)

    async def asset(self, scope: Scope, receive: Receive, send: Send) -> None:
        fresh = b"v=" in scope.get("query_string", b"")

        async def cached(message: Message) -> None:
            if message["type"] == "http.response.start":
                keep = b"max-age=31536000, immutable" if fresh else b"no-cache"
                message = {**message, "headers": [*message["headers"], (b"cache-control", keep)]}
            await send(message)

        try:
            await self.assets(scope, receive, cached)
        except HTTPException as error:
            await PlainTextResponse(error.detail, error.status_code)(scope, receive, send)

    async def first_page(self, page: App, scope: Scope, receive: Receive, send: Send) -> None:
        """gradio's page with our tags in its head: styled from its first paint on, in the right colours."""
        plain = [(k, v) for k, v in scope["headers"] if k not in (b"accept-encoding", b"if-none-match")]
        start: list[Message] = []
        body = b""

        async def gathered(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                start.append(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(b"<head>", b"<head>" + self.opening, 1)
            before, tag, after = body.rpartition(b"</head>")
            whole = before + self.closing + tag + after
            kept = [(k, v) for k, v in start[0]["headers"] if k not in (b"content-length", b"cache-control")]
            own = [(b"content-length", str(len(whole)).encode()), (b"cache-control", b"no-store")]
            await send({**start[0], "headers": [*kept, *own]})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else whole})

        # without the query: gradio would read a deep_link from it
        await page({**scope, "headers": plain, "query_string": b""}, receive, gathered)

    def state(self) -> Response:
        failure = self.failure
        told = {
            "ready": self.page is not None,
            "error": failure.message if failure else "",
            "hint": failure.hint if failure else "",
        }
        return JSONResponse(told, headers={"cache-control": "no-store"})

    def waiting(self, path: str) -> Response:
        if path == "/":
            return HTMLResponse(self.splash, headers={"cache-control": "no-store"})
        return JSONResponse({"error": "The studio is still starting.", "hint": "Try again in a moment."}, 503)


class Service:
    """Opens the studio in the background of a running server, and closes it again."""

    def __init__(self, settings: Settings, port: int, front: Front, access: Access) -> None:
        self.settings = settings
        self.port = port
        self.front = front
        self.access = access
        self.studio: Studio | None = None
        self.stack = contextlib.AsyncExitStack()
        self.stopping = asyncio.Event()

    async def open(self, server: uvicorn.Server) -> None:
        """Ends the server where the studio cannot be opened; a StudioError is first shown on the page."""
        try:
            self.studio = await asyncio.to_thread(self.take_home)
            announce(self.settings, self.access, self.port)  # only now: in a home that is in use no link would work
            page = await asyncio.to_thread(self.load, self.studio)
            await asyncio.to_thread(self.studio.take_up_queue)
            # the parent has no lifespan of its own any more: gradio's queue starts with this
            await self.stack.enter_async_context(page.router.lifespan_context(page))
            self.front.page = page
        except StudioError as error:
            self.front.failure = error
            await self.pause(1.5)  # so that a page that is open already can say it, too
            raise
        else:
            await self.pause(
                2.0
            )  # the page paints first; then torch is loaded, so that the first picture need not wait
            if self.studio and not self.stopping.is_set():
                await asyncio.to_thread(self.studio.warm)
        finally:
            server.should_exit = server.should_exit or self.front.page is None

    async def pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def take_home(self) -> "Studio":
        from studio.studio import Studio

        return Studio(self.settings)

    def load(self, studio: "Studio") -> Starlette:
        prepare(self.settings)  # only now: another program on this home would still use what this clears
        from studio.ui import fast_gradio  # noqa: F401  (before any other import of gradio)
        from studio.ui.api_routes import api_routes
        from studio.ui.routes import routes

        self.front.routes, self.front.api = routes(studio), api_routes(studio)
        return mount(build(studio), self.settings, self.port)

    async def close(self) -> None:
        await self.stack.aclose()
        if self.studio:
            await asyncio.to_thread(self.studio.close)


class Server(uvicorn.Server):
    """uvicorn raises a signal again as soon as it has stopped; our own clean-up comes after that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def run(settings: Settings, listening: socket.socket) -> None:
    """Serves until a signal comes or the studio cannot be opened; then everything of ours has ended."""
    port = listening.getsockname()[1]
    access = Access.of(settings, port, gradio_cache(settings))
    front = Front()
    service = Service(settings, port, front, access)
    server = Server(
        uvicorn.Config(
            Guard(front, access),
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=30,
        )
    )
    opening = asyncio.create_task(service.open(server))
    try:
        await server.serve(sockets=[listening])
        service.stopping.set()
        await opening
    finally:
        await service.close()


def serve(settings: Settings) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Busy when the port is taken or another program holds the home folder.
    """
    Access.of(settings, 0, gradio_cache(settings))  # a host without a password is refused before all else
    listening = listen(settings.host, settings.port)
    try:
        asyncio.run(run(settings, listening))
    finally:
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that holds the port from now on. Busy names the next free one."""
    name = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        return socket.create_server((name, port), family=family, backlog=128)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise Busy(
                f"The address {host}:{port} cannot be used: {error.strerror}.",
                "Give another --host or --port.",
            ) from error
        free = next_free(name, port, family)
        raise Busy(f"Port {port} is taken, perhaps by a studio that already runs.", f"Use --port {free}.") from error


def next_free(host: str, port: int, family: int) -> int:
    for candidate in [*range(port + 1, min(port + 50, 65536)), 0]:
        with contextlib.suppress(OSError), socket.create_server((host, candidate), family=family) as probe:
            return int(probe.getsockname()[1])
    return 0


def gradio_cache(settings: Settings) -> Path:
    return settings.cache / "gradio"


def prepare(settings: Settings) -> None:
    """Empties what the last run left in the cache, and the current folder, from which gradio would serve."""
    uploads, nowhere = gradio_cache(settings), settings.cache / "empty"
    for folder in (uploads, nowhere):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    shutil.rmtree(settings.cache / "uploads", ignore_errors=True)
    for left in settings.cache.glob("export-*.*"):
        left.unlink(missing_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.chdir(nowhere)


def announce(settings: Settings, access: Access, port: int) -> None:
    """One line for the terminal, and the page for the person."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(settings.host, settings.host)
    address = f"http://{host}:{port}/"
    sys.stdout.write(f"Atelier is at {address}?token={urllib.parse.quote(access.token)}  (Ctrl+C ends it)\n")
    sys.stdout.flush()
    if settings.open_browser:
        link = f"{address}?token={access.ticket()}"
        asyncio.get_running_loop().run_in_executor(None, lambda: window.show(link, window=settings.window))
