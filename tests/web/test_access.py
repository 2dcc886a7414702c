"""Access control: host names, origins and tokens; and the security headers of every answer."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.web.serving import RunningServer, run_server, url
from thumbsmith import web
from thumbsmith.web import WebSettings

TOKEN = "0123456789abcdef-only-for-tests"
OTHER_SITE = "https://shop.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server with a token that another site may use."""
    settings = WebSettings(token=TOKEN, origins=frozenset({OTHER_SITE}))
    with run_server(tmp_path_factory.mktemp("guarded"), settings) as running:
        yield running


def _raw(server: RunningServer, request: bytes) -> bytes:
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "127.0.0.1:9"])
def test_names_of_this_machine_are_accepted(server: RunningServer, host: str):
    """The port does not matter, because a tunnel may change it."""
    assert server.client.get("/images", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("10.0.0.1", 421),
        ("0.0.0.0", 421),
        ("", 400),
        ("a b", 400),
        ("user@127.0.0.1", 400),
        ("127.0.0.1:x", 400),
        ("[127.0.0.1", 400),
    ],
)
def test_a_foreign_host_is_refused(server: RunningServer, host: str, status: int):
    """A foreign name for the address of this machine (DNS rebinding) is refused on every path."""
    for path in ("/", "/images", "/openapi.json", "/docs"):
        answer = server.client.get(path, headers={"Host": host})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_host_and_two_hosts_are_refused(server: RunningServer):
    """A request must have exactly one Host header."""
    assert _raw(server, b"GET /images HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    twice = b"GET /images HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert _raw(server, twice).startswith(b"HTTP/1.1 400 ")


def test_health_answers_for_any_host(server: RunningServer, guarded: RunningServer):
    """Load balancers use the address of the machine: they need neither the name nor the token."""
    for running in (server, guarded):
        for host in ("evil.example", "10.0.0.1:80", ""):
            answer = running.client.get("/health", headers={"Host": host})
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/images", {}, 401),
        ("GET", "/nothing", {"Authorization": f"Bearer {TOKEN}"}, 404),
        ("PATCH", "/images", {"Authorization": f"Bearer {TOKEN}"}, 405),
        ("GET", "/images", {"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 421),
        ("POST", "/uploads", {"Authorization": f"Bearer {TOKEN}"}, 415),
        ("GET", "/images/none.png", {"Authorization": f"Bearer {TOKEN}"}, 404),
        ("GET", "/health", {}, 200),
    ],
)
def test_an_allowed_site_can_read_errors(guarded: RunningServer, method, path, headers, status):
    """Every answer to an allowed origin has the CORS headers; the same answer to another origin has none."""
    answer = guarded.client.request(method, path, headers={**headers, "Origin": OTHER_SITE})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == OTHER_SITE
    assert "Last-Modified" in answer.headers["access-control-expose-headers"]
    other = guarded.client.request(method, path, headers={**headers, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/images", "/health", "/nothing", "/renditions/none.png/small"])
def test_caches_keep_answers_by_origin(guarded: RunningServer, server: RunningServer, path: str):
    """If other sites may use the API, each answer has `Vary: Origin`, so that caches do not mix them up."""
    for headers in ({}, {"Origin": OTHER_SITE}, {"Origin": "https://evil.example"}):
        assert "Origin" in guarded.client.get(path, headers=headers).headers["vary"]
    assert "Origin" not in server.client.get(path).headers.get("vary", "")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"]
)
def test_a_page_of_another_site_is_refused(server: RunningServer, origin: str):
    """CSRF gets 403 for every method, has no effect, and gets no CORS headers."""
    key = server.upload("csrf.png", replace=True)
    for method, path in (
        ("POST", "/uploads"),
        ("DELETE", f"/images/{key}"),
        ("GET", "/images"),
        ("OPTIONS", "/images"),
    ):
        answer = server.client.request(method, path, headers={"Origin": origin})
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert server.image(key).status_code == 200


def test_a_form_of_another_site_is_refused_without_an_origin(server: RunningServer):
    """Without an Origin header, Sec-Fetch-Site decides."""
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)):
        assert server.client.delete("/images/no.png", headers={"Sec-Fetch-Site": site}).status_code == status


def test_the_page_of_the_server_is_accepted(server: RunningServer):
    """Requests with the origin of the server itself are accepted."""
    assert server.client.get("/images", headers={"Origin": url(server.address)}).status_code == 200


def test_a_token_is_required(guarded: RunningServer):
    """A missing or wrong token, and another scheme, get 401 on every path that reveals something about images."""
    paths = [("GET", "/images"), ("GET", "/images/x"), ("POST", "/uploads"), ("GET", "/renditions/x/small")]
    paths += [
        ("DELETE", "/images/x"),
        ("PUT", "/uploads"),
        ("GET", "/uploads/x"),
        ("GET", "/recipe"),
        ("GET", "/metrics"),
        ("GET", "/formats"),
        ("PUT", "/images/x"),
        ("POST", "/images"),
        ("POST", "/previews"),
        ("GET", "/none"),
    ]
    paths += [("GET", "/page/../images"), ("GET", "/health/../images")]
    for method, path in paths:
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "thumbsmith=x"},
        ):
            answer = guarded.client.request(method, path, headers=given)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded.client.get("/images", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_the_page_can_exchange_the_token_for_a_cookie(guarded: RunningServer):
    """The cookie replaces the token, is hidden from scripts and other sites, and does not contain the token."""
    with httpx.Client(base_url=guarded.client.base_url) as browser:
        assert browser.get("/").status_code == 200
        assert browser.post("/session", json={"token": "wrong"}).status_code == 401
        assert browser.get("/images").status_code == 401
        answer = browser.post("/session", json={"token": TOKEN})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert browser.get("/images").status_code == 200


def test_an_allowed_site_may_use_the_api(guarded: RunningServer):
    """CORS: a preflight needs no token, a request needs it, and other sites are refused."""
    preflight_headers = {
        "Origin": OTHER_SITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = guarded.client.options("/uploads", headers=preflight_headers)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == OTHER_SITE
    assert guarded.client.get("/images", headers={"Origin": OTHER_SITE}).status_code == 401
    answer = guarded.client.get("/images", headers={"Origin": OTHER_SITE, "Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == OTHER_SITE
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (
        guarded.client.options("/uploads", headers={**preflight_headers, "Origin": "https://evil.example"}).status_code
        == 403
    )


def test_thumbnails_of_a_guarded_server_are_private(guarded: RunningServer):
    """With a token, shared caches may not store thumbnails."""
    guarded.client.headers["Authorization"] = f"Bearer {TOKEN}"
    key = guarded.upload("private.png")
    assert guarded.client.get(f"/renditions/{key}/small").headers["cache-control"].startswith("private,")
    del guarded.client.headers["Authorization"]


def test_the_url_of_an_upload_needs_no_token(guarded: RunningServer):
    """The secret in the URL is enough, as in presigned URLs of S3; a guessed secret gets 404."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    body = {"name": "given.png", "type": "image/png", "bytes": 3}
    upload = guarded.client.post("/uploads", json=body, headers=bearer).json()["upload"]
    assert guarded.client.put("/uploads/guess", content=b"abc", headers=upload["headers"]).status_code == 404
    assert guarded.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 201


def test_a_short_token_is_refused():
    """A token of fewer than 16 characters raises ValueError."""
    with pytest.raises(ValueError, match="at least 16"):
        WebSettings(token="short")


def test_the_former_name_of_the_settings_works():
    """Programs that import `Settings` still work."""
    assert web.Settings is WebSettings


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/openapi.json"),
        ("GET", "/images"),
        ("GET", "/images/none.png"),
        ("GET", "/renditions/none.png/small"),
        ("GET", "/nothing"),
        ("POST", "/"),
        ("PATCH", "/images"),
        ("POST", "/uploads"),
        ("GET", "/page/none.js"),
        ("GET", "/images/%ff"),
    ],
)
def test_every_answer_has_the_security_headers(server: RunningServer, method: str, path: str):
    """Every status has nosniff, a strict content policy, no referrer, no frames, and no Server header."""
    headers = server.client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_unknown_paths_and_methods_are_problems(server: RunningServer):
    """404 and 405 are problem+json; 405 names the allowed methods."""
    unknown = server.client.get("/nothing")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    wrong = server.client.patch("/images")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    wrong = server.client.post("/images/x.png")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}
