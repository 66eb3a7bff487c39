"""Who may talk to the studio: every request is checked here before any other code sees it.

Knows Host, Origin, Sec-Fetch-Site and the routes that may be reached, and asks the door for tokens and
passwords; knows nothing of jobs and artifacts. It closes DNS rebinding, cross-site requests, framing, active
content among served files and those routes of gradio that read files, fetch addresses or edit code.
"""

import json
import os
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.settings import ASSETS
from studio.ui.door import Access

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

UPLOAD_LIMIT = 256 * 2**20  # bytes of one uploaded file
BODY_LIMIT = 8 * 2**20  # bytes of any other request: settings and prompts are far smaller
MONTH = 30 * 24 * 3600

# gr.HTML compiles its templates in the page and gradio's page has inline scripts: hence the two 'unsafe-'
# words
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
)
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
HARDENING: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), payment=(), usb=()"),
]

# Everything of gradio that the page and gradio_client use. What is not here does not exist: proxy=,
# monitoring, vibe,
# dev, docs, run history, component_server, streams, heartbeat, login.
GRADIO_GET = frozenset(
    {
        "/",
        "/config",
        "/config/",
        "/theme.css",
        "/robots.txt",
        "/gradio_api/info",
        "/gradio_api/info/",
        "/gradio_api/app_id",
        "/gradio_api/theme.css",
        "/gradio_api/queue/data",
        "/gradio_api/upload_progress",
        "/gradio_api/startup-events",
    }
)
GRADIO_GET_UNDER = ("/assets/", "/static/", "/svelte/", "/gradio_api/call/", "/gradio_api/file=")
GRADIO_POST = frozenset(
    {
        "/gradio_api/queue/join",
        "/gradio_api/run/predict",
        "/gradio_api/cancel",
        "/gradio_api/reset",
        "/gradio_api/upload",
    }
)
GRADIO_POST_UNDER = ("/gradio_api/call/",)
PUBLIC = frozenset(
    {"/manifest.json", "/favicon.ico", "/atelier/login"}
)  # these tell and change nothing without the password
UPLOADS = frozenset({"/gradio_api/upload", "/atelier/upload", "/atelier/train/upload", "/atelier/origin/look"})
API = frozenset({"/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/images/generations"})
NOT_JSON = UPLOADS | {"/atelier/login"}
SINGLE = frozenset(
    {b"host", b"origin", b"cookie", b"authorization", b"content-length", b"content-type", b"sec-fetch-site"}
)


class BodyTooLarge(Exception):
    """Raised into the application while it reads more than the limit."""


class Guard:
    """ASGI middleware around everything; http and websocket scopes alike."""

    def __init__(self, app: App, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = _Incoming(scope)
        answer = self._refusal(request) or self._door(request)
        if scope["type"] == "websocket":
            if answer or not self._known(request):
                await send({"type": "websocket.close", "code": 4403})
                return
            await self.app(scope, receive, send)
            return
        if answer is None and request.path == "/atelier/login":
            answer = await self._login(request, receive)
        if answer is not None:
            await answer.send(send)
            return
        await self._pass(request, receive, send)

    async def _pass(self, request: "_Incoming", receive: Receive, send: Send) -> None:
        started = False
        limit = UPLOAD_LIMIT + 2**16 if request.path in UPLOADS else BODY_LIMIT
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise BodyTooLarge
            return message

        async def hardened(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": harden(message.get("headers", ()), request.serves_file)}
            await send(message)

        try:
            await self.app(request.scope, limited, hardened)
        except BodyTooLarge:
            if not started:
                await too_large(limit).send(send)

    def _refusal(self, request: "_Incoming") -> "Answer | None":
        """Whom we do not even ask for a token."""
        if request.repeated:
            return Answer.plain(400, "A header was sent twice.")
        if not self.access.knows_host(request.header(b"host")):
            return Answer.plain(421, "Unknown host.")  # DNS rebinding
        origin = request.header(b"origin")
        if origin and origin != f"{request.scheme}://{request.header(b'host').lower()}":
            return Answer.plain(403, "Foreign origin.")  # also 'null'
        site = request.header(b"sec-fetch-site")
        if site not in ("", "none", "same-origin") and not request.opened_by_link:
            return Answer.plain(403, "Cross-site request.")
        if not allowed_route(request.method, request.path):
            return Answer.plain(404, "Not found.")
        if request.serves_upload and not inside(request.path.partition("file=")[2], self.access.uploads):
            return Answer.plain(404, "Not found.")
        if request.method == "POST" and request.path not in NOT_JSON and not request.is_json:
            return Answer.plain(415, "Send application/json.")
        limit = UPLOAD_LIMIT + 2**16 if request.path in UPLOADS else BODY_LIMIT
        return too_large(limit) if request.length > limit else None

    def _door(self, request: "_Incoming") -> "Answer | None":
        """The link with the token, the cookie, the bearer header;

        otherwise a page that says how to come in.
        """
        if request.path in API:
            return self._key(request)
        word = request.query("token")
        if request.path == "/" and request.method == "GET" and word:
            return self._admit(request) if self.access.spend(word) else page(401, "locked")
        if request.path in PUBLIC or self._known(request):
            return None
        if request.wants_page:
            return page(401, "login" if self.access.open_host else "locked")
        return Answer.plain(401, "Open the link that the terminal shows.")

    def _key(self, request: "_Incoming") -> "Answer | None":
        """For other programs: their own key, no cookie; errors in the form that they read."""
        if not self.access.api_key:
            return Answer.api(404, "The API is switched off. Switch it on in the Text panel.", "api_off")
        if not self.access.right_api_key(request.bearer):
            return Answer.api(401, "That is not the key of this studio's API.", "invalid_api_key")
        return None

    def _known(self, request: "_Incoming") -> bool:
        return self.access.matches(request.cookie(self.access.cookie)) or self.access.matches(request.bearer)

    def _admit(self, request: "_Incoming") -> "Answer":
        cookie = f"{self.access.cookie}={self.access.token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={MONTH}"
        headers = [(b"set-cookie", cookie.encode()), (b"cache-control", b"no-store")]
        if request.header(b"sec-fetch-site") in ("cross-site", "same-site"):
            # a Strict cookie does not travel along a redirect that another site began: let our own page go on
            return Answer(200, b'<!doctype html><meta http-equiv="refresh" content="0;url=/">', "text/html", headers)
        return Answer(303, b"", "text/plain", [*headers, (b"location", b"/")])

    async def _login(self, request: "_Incoming", receive: Receive) -> "Answer | None":
        if not self.access.open_host or request.method != "POST":
            return Answer.plain(404, "Not found.")
        if self.access.attempts.blocked(request.client):
            return page(429, "login", "Too many wrong passwords. Wait half a minute, then try again.")
        body = b""
        more = True
        while more and len(body) < 4096:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        given = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        if self.access.right_password(given):
            return self._admit(request)
        self.access.attempts.failed(request.client)
        return page(401, "login", "That is not the password.")


@dataclass(frozen=True)
class Answer:
    """A short reply by the guard itself."""

    status: int
    body: bytes
    media_type: str
    headers: Iterable[tuple[bytes, bytes]] = ()

    @classmethod
    def plain(cls, status: int, text: str) -> "Answer":
        return cls(status, text.encode(), "text/plain")

    @classmethod
    def api(cls, status: int, text: str, code: str) -> "Answer":
        told = {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
        return cls(status, json.dumps(told).encode(), "application/json")

    async def send(self, send: Send) -> None:
        own = [
            (b"content-type", f"{self.media_type}; charset=utf-8".encode()),
            *self.headers,
            (b"content-length", str(len(self.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": harden(own, False)})
        await send({"type": "http.response.body", "body": self.body})


class _Incoming:
    """One request as the guard sees it: nothing here trusts anything."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers: Headers = [(k.lower(), v) for k, v in scope["headers"]]
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")
        self.scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
        self.client: str = (scope.get("client") or ("",))[0]

    @property
    def repeated(self) -> bool:
        names = [name for name, _ in self.headers if name in SINGLE]
        return len(names) != len(set(names))

    def header(self, name: bytes) -> str:
        return next((v.decode("latin-1") for k, v in self.headers if k == name), "")

    def cookie(self, name: str) -> str:
        """Split by hand: http.cookies drops them all at the first odd one, and any site of this machine may set one."""
        for pair in self.header(b"cookie").split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                return value.strip().strip('"')
        return ""

    def query(self, name: str) -> str:
        return urllib.parse.parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get(name, [""])[0]

    @property
    def bearer(self) -> str:
        kind, _, word = self.header(b"authorization").partition(" ")
        return word if kind.lower() == "bearer" else ""

    @property
    def length(self) -> int:
        text = self.header(b"content-length")
        return int(text) if text.isdecimal() else 0

    @property
    def is_json(self) -> bool:
        kind = self.header(b"content-type").partition(";")[0].strip().lower()
        return kind == "application/json" or self.length == 0 and kind == ""

    @property
    def opened_by_link(self) -> bool:
        return self.method == "GET" and self.path == "/" and self.header(b"sec-fetch-mode") == "navigate"

    @property
    def wants_page(self) -> bool:
        return self.method == "GET" and self.path == "/"

    @property
    def serves_upload(self) -> bool:
        return self.path.startswith("/gradio_api/file=")

    @property
    def serves_file(self) -> bool:
        return self.serves_upload or self.path.startswith(("/atelier/files/", "/atelier/thumbs/", "/atelier/previews/"))


def allowed_route(method: str, path: str) -> bool:
    if (
        any(part in ("..", ".") for part in path.split("/"))
        or "\\" in path
        or "\0" in path
        or "//" in path.split("file=")[0]
    ):
        return False
    if path.startswith("/atelier/") or path in PUBLIC or path in API:
        return method in ("GET", "HEAD", "POST")
    if method in ("GET", "HEAD"):
        return path in GRADIO_GET or path.startswith(GRADIO_GET_UNDER)
    return method == "POST" and (path in GRADIO_POST or path.startswith(GRADIO_POST_UNDER))


def inside(name: str, folder: Path) -> bool:
    """Whether `name`, decoded once more and with all links followed, lies in `folder`."""
    root = os.path.realpath(folder)
    for path in (name, urllib.parse.unquote(name)):
        if "://" in path or "\0" in path or not os.path.isabs(path):
            return False
        if os.path.commonpath([root, os.path.realpath(path)]) != root:
            return False
    return True


def harden(headers: Iterable[tuple[bytes, bytes]], is_file: bool) -> Headers:
    """The headers with ours in place of any of the same name."""
    ours = [(b"content-security-policy", (FILE_POLICY if is_file else PAGE_POLICY).encode()), *HARDENING]
    names = {name for name, _ in ours} | {
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"server",
    }
    return [(k, v) for k, v in headers if k.lower() not in names] + ours


def page(status: int, name: str, message: str = "") -> Answer:
    """One of the small pages in assets/ui that need no gradio; `message` is a fixed sentence of ours."""
    text = standalone(name).replace("<!--message-->", message)
    return Answer(status, text.encode(), "text/html", [(b"cache-control", b"no-store")])


def standalone(name: str) -> str:
    """The page with its style inside: nothing else may be fetched before the door is open."""
    text = (ASSETS / "ui" / f"{name}.html").read_text("utf-8")
    return text.replace("/*plain.css*/", (ASSETS / "ui" / "plain.css").read_text("utf-8"))


def too_large(limit: int) -> Answer:
    return Answer.plain(413, f"That is more than {limit // 2**20} MB.")
