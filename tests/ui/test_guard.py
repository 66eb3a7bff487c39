"""The guard, by raw HTTP against the real program: what must be refused is refused, the rest is inert."""

import http.client
import json
import os
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.settings import ROOT, Settings
from studio.ui.door import Access, token_of
from studio.ui.guard import allowed_route, inside
from tests.ui.served import Served, furnish, keep_file, serving

REFUSED = {401, 403, 404, 421}
JSON = "application/json"
FORM = "multipart/form-data; boundary=b"
FORM_BODY = (
    b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.html"\r\n'
    b"Content-Type: text/html\r\n\r\n<script>1</script>\r\n--b--\r\n"
)
JOIN = json.dumps({"data": [], "fn_index": 0, "session_hash": "abc"}).encode()
HOSTILE = {
    "foreign host": {"Host": "evil.example"},
    "foreign host with our port": {"Host": "evil.example:{port}"},
    "foreign origin": {"Origin": "http://evil.example"},
    "origin of another port": {"Origin": "http://127.0.0.1:1"},
    "null origin": {"Origin": "null"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
}
ROADS = [
    ("GET", "/", "", b""),
    ("GET", "/config", "", b""),
    ("POST", "/gradio_api/queue/join", JSON, JOIN),
    ("POST", "/gradio_api/queue/join", "text/plain", JOIN),
    ("POST", "/gradio_api/queue/join", "", JOIN),
    ("POST", "/gradio_api/call/v2/anything", JSON, b"{}"),
    ("POST", "/gradio_api/run/predict", "text/plain", JOIN),
    ("POST", "/gradio_api/run/anything", "text/plain", JOIN),
    ("POST", "/gradio_api/upload", FORM, FORM_BODY),
    (
        "POST",
        "/gradio_api/component_server/",
        "text/plain",
        b'{"component_id": 1, "fn_name": "ls", "data": []}',
    ),
    ("POST", "/gradio_api/component_server/", FORM, FORM_BODY),
    ("POST", "/gradio_api/cancel", JSON, b"{}"),
    ("POST", "/gradio_api/reset", JSON, b"{}"),
    ("GET", "/gradio_api/file=/etc/hostname", "", b""),
    ("GET", f"/gradio_api/file={ROOT}/studio/ui/guard.py", "", b""),
    ("GET", "/gradio_api/file=https://example.com/", "", b""),
    ("GET", "/docs", "", b""),
    ("GET", "/gradio_api/openapi.json", "", b""),
    ("GET", "/monitoring/summary", "", b""),
    ("POST", "/atelier/act", JSON, b'{"action": "pause"}'),
    ("POST", "/atelier/upload?name=x.png", "application/octet-stream", b"x"),
    ("POST", "/atelier/export", JSON, b'{"shas": []}'),
    ("GET", "/atelier/find", "", b""),
    ("GET", "/atelier/queue", "", b""),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("guarded") / "home"
    furnish(home, [{"prompt": "a red fox"}, {"prompt": "a boat"}])
    keep_file(home, "page.html", b"<script>document.title = 'run'</script>", "text/html")
    keep_file(
        home,
        "drawing.svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        "image/svg+xml",
    )
    with serving(home) as running:
        running.wait_usable()
        yield running


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(("method", "path", "kind", "body"), ROADS)
def test_hostile_requests_are_refused_even_with_the_right_token(
    served: Served, hostile: str, method: str, path: str, kind: str, body: bytes
) -> None:
    headers = {name: value.format(port=served.port) for name, value in HOSTILE[hostile].items()}
    host = headers.pop("Host", "")
    if kind:
        headers["Content-Type"] = kind
    answer = served.ask(path, method=method, headers=headers, body=body, host=host)
    assert answer.status in REFUSED, (answer.status, answer.body[:200])
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path", "kind", "body"), ROADS)
def test_without_the_token_nothing_opens(served: Served, method: str, path: str, kind: str, body: bytes) -> None:
    headers = {"Content-Type": kind} if kind else {}
    for token in (None, "wrong", served.token[:-1], served.token + "x", "\xff" * 8):
        answer = served.ask(path, method=method, headers=headers, body=body, token=token)
        assert answer.status in REFUSED | {415}, (token, answer.status)
        assert b"a red fox" not in answer.body


def test_a_host_is_needed(served: Served) -> None:
    assert served.ask("/", host=None).status in (400, 421)
    for name in (
        "127.0.0.1",
        "localhost",
        f"127.0.0.1:{served.port + 1}",
        f"127.0.0.1:{served.port}.evil.example",
    ):
        assert served.ask("/config", host=name).status == 421, name
    assert served.ask("/config", host=f"localhost:{served.port}").status == 200


@pytest.mark.parametrize("name", ["Host", "Origin", "Cookie", "Sec-Fetch-Site", "Content-Type"])
def test_a_header_sent_twice_is_refused(served: Served, name: str) -> None:
    value = {
        "Host": f"127.0.0.1:{served.port}",
        "Origin": f"http://127.0.0.1:{served.port}",
        "Cookie": f"atelier_{served.port}={served.token}",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": JSON,
    }[name]
    host, token = (None if name == "Host" else ""), (None if name == "Cookie" else "")
    assert served.ask("/config", headers=[(name, value)], host=host, token=token).status == 200
    assert served.ask("/config", headers=[(name, value), (name, value)], host=host, token=token).status == 400


@pytest.mark.parametrize("odd", ['settings={"theme":"dark"}', "a[0]=1", "name=\u00e4\u00f6", "=", "alone", 'a="b'])
def test_odd_cookies_of_other_sites_lock_nobody_out(served: Served, odd: str) -> None:
    ours = f"atelier_{served.port}={served.token}"
    for jar in (f"{odd}; {ours}", f"{ours}; {odd}", f"{odd};{ours};{odd}"):
        assert served.ask("/config", headers=[("Cookie", jar)], token=None).status == 200, jar
    assert served.ask("/config", headers=[("Cookie", odd)], token=None).status == 401


def test_the_link_gives_the_cookie_and_leaves_the_address(served: Served) -> None:
    answer = served.ask(f"/?token={served.token}", token=None)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and f"atelier_{served.port}=" in cookie
    wrong = served.ask("/?token=wrong", token=None)
    assert wrong.status == 401 and "set-cookie" not in wrong.headers
    locked = served.ask("/", token=None)
    assert locked.status == 401 and b"link that the terminal shows" in locked.body


def test_a_bearer_header_opens_for_programs(served: Served) -> None:
    bearer = {"Authorization": f"Bearer {served.token}"}
    assert served.ask("/config", headers=bearer, token=None).status == 200
    assert served.ask("/config", headers={"Authorization": "Bearer x"}, token=None).status == 401
    assert served.ask("/config", headers={"Authorization": f"Basic {served.token}"}, token=None).status == 401


def test_the_token_is_readable_by_its_owner_alone(served: Served) -> None:
    path = served.home / "token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert token_of(served.home) == served.token


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/file=https://example.com/x.png",
        "/gradio_api/file=http:/example.com/x.png",
        "/gradio_api/file/etc/hostname",
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/vibe-code/",
        "/gradio_api/vibe-edit/",
        "/gradio_api/dev/reload",
        "/gradio_api/runs",
        "/gradio_api/deep_link",
        "/gradio_api/heartbeat/abc",
        "/gradio_api/stream/a/b/1/playlist.m3u8",
        "/gradio_api/custom_component/1/client/component/index.js",
        "/gradio_api/openapi.json",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/login",
        "/logout",
        "/gradio_api/token",
        "/gradio_api/user",
    ],
)
def test_closed_roads_do_not_exist_even_with_the_token(served: Served, path: str) -> None:
    assert served.ask(path).status == 404
    assert served.ask(path, method="POST", headers={"Content-Type": JSON}, body=b"{}").status == 404


def spellings(secret: Path) -> list[str]:
    """Ways to write an address that could reach a file outside."""
    up = "../" * 12 + str(secret).lstrip("/")
    encoded = urllib.parse.quote(str(secret), safe="")
    return [
        str(secret),
        up,
        up.replace("../", "..%2f"),
        up.replace("../", "%2e%2e/"),
        up.replace("../", "%252e%252e%252f"),
        up.replace("../", "..%5c"),
        up.replace("../", "....//"),
        encoded,
        urllib.parse.quote(encoded, safe=""),
        f"//{str(secret).lstrip('/')}",
        f"file://{secret}",
        f"{secret}%00.png",
    ]


@pytest.mark.parametrize(
    "route",
    [
        "/gradio_api/file=",
        "/gradio_api/file=/",
        "/atelier/files/",
        "/atelier/thumbs/",
        "/atelier/previews/",
        "/atelier/lineage/",
        "/atelier/artifact/",
        "/atelier/ui/",
        "/static/",
        "/assets/",
        "/svelte/",
    ],
)
def test_no_file_route_leaves_its_folder(served: Served, route: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret words")
    uploads = served.home / "cache" / "gradio"
    (uploads / "deep").mkdir(parents=True, exist_ok=True)
    targets = [
        *spellings(secret),
        *spellings(served.home / "token"),
        *spellings(served.home / "library" / "library.sqlite"),
    ]
    inner = [
        f"{uploads}/deep/{'../' * 9}{str(secret).lstrip('/')}",
        f"{uploads}/../../token",
        f"{uploads}/deep/..%2f..%2f..%2ftoken",
    ]
    for target in [*targets, *inner, *(path.lstrip("/") for path in inner)]:
        answer = served.ask(route + target)
        assert answer.status in (400, 403, 404, 405), (target, answer.status)
        assert b"secret words" not in answer.body and served.token.encode() not in answer.body


def test_symlinks_in_the_served_folders_are_not_followed_out(served: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret words")
    uploads = served.home / "cache" / "gradio"
    uploads.mkdir(parents=True, exist_ok=True)
    link = uploads / "innocent.txt"
    link.symlink_to(secret)
    folder = uploads / "folder"
    folder.symlink_to(tmp_path)
    for path in (link, folder / "secret.txt"):
        answer = served.ask(f"/gradio_api/file={path}")
        assert answer.status == 404 and b"secret" not in answer.body


def test_an_uploaded_page_is_inert_too(served: Served) -> None:
    upload = served.ask("/gradio_api/upload", method="POST", headers={"Content-Type": FORM}, body=FORM_BODY)
    assert upload.status == 200
    [path] = upload.json()
    assert Path(path).is_relative_to(served.home / "cache" / "gradio")
    answer = served.ask(f"/gradio_api/file={path}")
    assert answer.status == 200
    assert "attachment" in answer.headers.get("content-disposition", "")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_every_answer_is_hardened(served: Served) -> None:
    for path in ("/", "/config", "/atelier/find", "/atelier/ui/studio.css", "/nothing", "/?token=wrong"):
        headers = served.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "http:" not in policy and "https:" not in policy and "*" not in policy


def test_too_much_is_refused(served: Served) -> None:
    told = served.ask("/atelier/upload", method="POST", headers={"Content-Length": str(2**31)}, body=b"x" * 1000)
    assert told.status == 413
    long = served.ask(
        "/atelier/act",
        method="POST",
        headers={"Content-Length": str(9 * 2**20), "Content-Type": JSON},
        body=b"{" * 1000,
    )
    assert long.status == 413


def test_a_body_without_a_length_is_counted_while_it_comes(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as line:
        head = (
            f"POST /atelier/act HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: {JSON}\r\n"
            f"Cookie: atelier_{served.port}={served.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        line.sendall(head.encode())
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        try:
            for _ in range(12):
                line.sendall(chunk)
        except OSError:
            pass  # it has hung up: also a refusal
        answer = line.recv(64)
    assert answer.startswith(b"HTTP/1.1 413"), answer


def test_websockets_are_closed_to_strangers(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    upgrade = {
        "Host": "evil.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    connection.request("GET", "/gradio_api/queue/join", headers=upgrade)
    assert connection.getresponse().status in REFUSED
    connection.close()


def test_an_open_host_needs_a_password(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no password"):
        Access.of(Settings(home=tmp_path, host="0.0.0.0"), 7860, tmp_path)
    Access.of(Settings(home=tmp_path, host="0.0.0.0", password="x"), 7860, tmp_path)
    Access.of(Settings(home=tmp_path), 7860, tmp_path)


def test_the_password_page(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--host", "0.0.0.0", environment={"STUDIO_PASSWORD": "geheim ä"}) as served:
        assert b'name="password"' in served.ask("/", token=None).body
        form = {"Content-Type": "application/x-www-form-urlencoded"}

        def try_password(word: str, **more: str) -> int:
            body = urllib.parse.urlencode({"password": word}).encode()
            answer = served.ask("/atelier/login", method="POST", headers={**form, **more}, body=body, token=None)
            assert ("set-cookie" in answer.headers) == (answer.status == 303)
            return answer.status

        assert try_password("geheim ä", Origin="http://evil.example") == 403
        assert try_password("geheim ä") == 303
        assert [try_password("wrong") for _ in range(6)] == [401] * 5 + [429]
        assert try_password("geheim ä") == 429
        assert served.ask("/atelier/find", token=None, host=f"192.168.7.7:{served.port}").status == 401
        assert served.ask("/", token=None, host=f"evil.example:{served.port}").status == 421


def test_tickets_open_once(tmp_path: Path) -> None:
    access = Access(token_of(tmp_path), 7860, tmp_path)
    word = access.ticket()
    assert access.spend(word) and not access.spend(word)
    assert access.spend(access.token) and access.spend(access.token)
    assert not access.spend("") and not access.spend("\udcff")


def test_inside_follows_links_and_decodes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"")
    os.symlink(tmp_path, folder / "out")
    assert inside(str(folder / "a.png"), folder)
    for outside in (
        str(tmp_path),
        str(folder) + "2/a",
        f"{folder}/../x",
        f"{folder}/%2e%2e/x",
        f"{folder}/out/x",
        "a.png",
        "",
    ):
        assert not inside(outside, folder), outside


def test_only_what_the_page_needs_is_allowed() -> None:
    assert allowed_route("GET", "/assets/index.js") and allowed_route("POST", "/gradio_api/queue/join")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
        assert not allowed_route(method, "/") and not allowed_route(method, "/gradio_api/upload")
    assert not allowed_route("GET", "/assets/../config") and not allowed_route("GET", "//evil.example/")
