"""A small server that speaks the hub's API on loopback and can be told to misbehave.

Routes: /api/models, /api/models/ID, /api/models/ID/revision/REV, /api/models/ID/tree/REV, and HEAD and GET of
/ID/resolve/REV/FILE; large files are redirected to /storage/SHA256, as the hub does with LFS. With ETag, X-Repo-Commit,
X-Linked-Size, X-Linked-Etag, Range, and 401/403/404 with X-Error-Code.
"""

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000  # bytes from which a file is kept in LFS
PIECE = 16_384


@dataclass
class Repo:
    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=lambda: {"license": "apache-2.0"})
    gated: bool = False
    token: str = ""  # the token that opens a gated one
    commit: str = COMMIT
    hides_gate: bool = False  # the metadata say nothing of it, only the files do


@dataclass
class HubServer:
    """`with HubServer() as hub: hub.add("org/name", folder); ... hub.url`. What it misdoes are plain attributes."""

    repos: dict[str, Repo] = field(default_factory=dict)
    dies_after: int = -1  # bytes of a large file after which the connection is cut, once a number is given
    deaths: int = 1_000_000  # how often it may do so
    pause: float = 0.0  # seconds between two pieces of a large file
    corrupts: int = 0  # how many large files arrive with a wrong byte
    ignores_range: bool = False
    silent: bool = False  # accepts and never answers
    fails_with: int = 0  # an HTTP status for every storage request
    seen: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    sent: int = 0  # bytes of large files

    def __enter__(self) -> "HubServer":
        hub = self

        class Handler(_Handler):
            server_of_repos = hub

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.silent, self.pause = False, 0.0
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def add(self, id: str, source: Path | Mapping[str, bytes], **more: Any) -> Repo:
        if isinstance(source, Path):
            files = {p.relative_to(source).as_posix(): p.read_bytes() for p in sorted(source.rglob("*")) if p.is_file()}
        else:
            files = dict(source)
        self.repos[id] = Repo(files=files, **more)
        return self.repos[id]

    def storage_requests(self) -> list[Mapping[str, str]]:
        return [headers for method, path, headers in self.seen if method == "GET" and path.startswith("/storage/")]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients of these tests are killed all the time


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_repos: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub = self.server_of_repos
        path = unquote(urlsplit(self.path).path)
        hub.seen.append((self.command, path, dict(self.headers.items())))
        while hub.silent:
            time.sleep(0.05)
        if path == "/api/models":
            return self._search()
        if path.startswith("/storage/"):
            return self._storage(path.removeprefix("/storage/"))
        if path.startswith("/api/models/"):
            return self._metadata(path.removeprefix("/api/models/"))
        for id, repo in hub.repos.items():
            if path.startswith(f"/{id}/resolve/"):
                revision, _, name = path.removeprefix(f"/{id}/resolve/").partition("/")
                return self._resolve(repo, revision, name, body)
        self._error(404, "RepoNotFound", "Repository not found")

    def _search(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        words = query.get("search", [""])[0].lower()
        found = [self._info(id, repo, blobs=False) for id, repo in self.server_of_repos.repos.items() if words in id]
        self._json(found[: int(query.get("limit", ["20"])[0])])

    def _metadata(self, rest: str) -> None:
        for id, repo in self.server_of_repos.repos.items():
            if rest == id or rest.startswith(f"{id}/"):
                act, _, revision = rest.removeprefix(id).strip("/").partition("/")
                if revision and revision not in ("main", repo.commit):
                    return self._error(404, "RevisionNotFound", "Invalid rev id")
                if act == "tree":
                    return self._json([self._entry(name, data) for name, data in repo.files.items()])
                return self._json(self._info(id, repo, blobs="blobs" in self.path))
        self._error(404 if self._token() else 401, "RepoNotFound", "Repository not found")

    def _info(self, id: str, repo: Repo, *, blobs: bool) -> dict[str, Any]:
        siblings = [self._sibling(name, data) if blobs else {"rfilename": name} for name, data in repo.files.items()]
        return {
            "_id": "1",
            "id": id,
            "modelId": id,
            "sha": repo.commit,
            "gated": "auto" if repo.gated and not repo.hides_gate else False,
            "private": False,
            "downloads": 7,
            "tags": ["diffusers", *(f"license:{v}" for k, v in repo.card.items() if k == "license")],
            "pipeline_tag": "text-to-image",
            "cardData": repo.card,
            "siblings": siblings,
        }

    @staticmethod
    def _sibling(name: str, data: bytes) -> dict[str, Any]:
        plain: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
        if len(data) >= LARGE:
            plain["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return plain

    @staticmethod
    def _entry(name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
        if len(data) >= LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def _resolve(self, repo: Repo, revision: str, name: str, body: bool) -> None:
        if repo.gated and self._token() != repo.token:
            return self._error(403 if self._token() else 401, "GatedRepo", "Access to this model is restricted.")
        if revision not in ("main", repo.commit):
            return self._error(404, "RevisionNotFound", "Invalid rev id")
        if name not in repo.files:
            return self._error(404, "EntryNotFound", "Entry not found")
        data = repo.files[name]
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
        if len(data) < LARGE:
            return self._bytes(data, {**headers, "ETag": f'"{git_sha1(data)}"'}, body)
        sha256 = hashlib.sha256(data).hexdigest()
        # the storage has another name than the hub, so that what must not reach it can be seen
        port = self.server.server_address[1]
        self.send_response(302)
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256}"'}
        for key, value in {**headers, **linked, "Location": f"http://localhost:{port}/storage/{sha256}"}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _storage(self, sha256: str) -> None:
        hub = self.server_of_repos
        data = next(
            d
            for repo in hub.repos.values()
            for d in repo.files.values()
            if len(d) >= LARGE and hashlib.sha256(d).hexdigest() == sha256
        )
        if hub.fails_with:
            return self._error(hub.fails_with, "", "no")
        if hub.corrupts > 0:
            hub.corrupts -= 1
            data = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        self._bytes(data, {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}, True)

    def _bytes(self, data: bytes, headers: Mapping[str, str], body: bool) -> None:
        hub = self.server_of_repos
        first, large = 0, len(data) >= LARGE
        if (asked := self.headers.get("Range")) and not hub.ignores_range:
            first = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if first else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        if not body:
            return
        for at in range(first, len(data), PIECE):
            if large and 0 <= hub.dies_after <= at - first and hub.deaths > 0:
                hub.deaths -= 1
                self.close_connection = True
                self.wfile.flush()
                self.connection.close()
                return
            piece = data[at : at + PIECE]
            self.wfile.write(piece)
            if large:
                hub.sent += len(piece)
                time.sleep(hub.pause)

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _error(self, code: int, name: str, message: str) -> None:
        # a careless server repeats what it was sent
        data = json.dumps({"error": f"{message} {self.headers.get('Authorization', '')}"}).encode()
        self.send_response(code)
        if name:
            self.send_header("X-Error-Code", name)
        self.send_header("X-Error-Message", f"{message} {self.headers.get('Authorization', '')}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")
