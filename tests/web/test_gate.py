"""Who may come in: hosts, origins, tokens; and what every answer carries."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.web.serving import Served, served, url
from thumbsmith.web import WebSettings

TOKEN = "0123456789abcdef-only-for-tests"
ELSEWHERE = "https://shop.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server with a token, and another site that may use it."""
    settings = WebSettings(token=TOKEN, origins=frozenset({ELSEWHERE}))
    with served(tmp_path_factory.mktemp("guarded"), settings) as running:
        yield running


def _raw(server: Served, request: bytes) -> bytes:
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "127.0.0.1:9"])
def test_names_of_this_machine_are_answered_to(server: Served, host: str):
    """Whatever the port, as through a tunnel."""
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
def test_a_foreign_host_is_refused(server: Served, host: str, status: int):
    """A name that somebody gave this machine's address (DNS rebinding) gets nothing, on no path."""
    for path in ("/", "/images", "/openapi.json", "/health"):
        answer = server.client.get(path, headers={"Host": host})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_host_or_two_are_refused(server: Served):
    """The name has to be given once."""
    assert _raw(server, b"GET /images HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    twice = b"GET /images HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert _raw(server, twice).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"]
)
def test_a_page_from_elsewhere_is_refused(server: Served, origin: str):
    """CSRF: every method, 403, and nothing is done; no CORS header invites it either."""
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


def test_a_form_of_another_site_is_refused_without_an_origin(server: Served):
    """What a browser says of the site a request comes from counts where it sends no Origin."""
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)):
        assert server.client.delete("/images/no.png", headers={"Sec-Fetch-Site": site}).status_code == status


def test_the_own_page_may_ask(server: Served):
    """The page's own origin is let in."""
    assert server.client.get("/images", headers={"Origin": url(server.address)}).status_code == 200


def test_a_token_is_asked_for(guarded: Served):
    """Without it, with a wrong one, or in another scheme: 401 on every path that tells of an image."""
    paths = [("GET", "/images"), ("GET", "/images/x"), ("POST", "/uploads"), ("GET", "/renditions/x/small")]
    paths += [
        ("DELETE", "/images/x"),
        ("PUT", "/uploads"),
        ("GET", "/uploads/x"),
        ("GET", "/recipe"),
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


def test_the_page_can_exchange_the_token_for_a_cookie(guarded: Served):
    """The cookie lets pictures through, is not for scripts or other sites, and does not hold the token."""
    with httpx.Client(base_url=guarded.client.base_url) as browser:
        assert browser.get("/").status_code == 200
        assert browser.post("/session", json={"token": "wrong"}).status_code == 401
        assert browser.get("/images").status_code == 401
        entered = browser.post("/session", json={"token": TOKEN})
        assert entered.status_code == 204
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert browser.get("/images").status_code == 200


def test_another_site_may_use_the_api_where_it_is_allowed(guarded: Served):
    """CORS: the preflight passes without a token, the request needs it; a site that is not named stays out."""
    asked = {
        "Origin": ELSEWHERE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = guarded.client.options("/uploads", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ELSEWHERE
    assert guarded.client.get("/images", headers={"Origin": ELSEWHERE}).status_code == 401
    answer = guarded.client.get("/images", headers={"Origin": ELSEWHERE, "Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ELSEWHERE
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert guarded.client.options("/uploads", headers={**asked, "Origin": "https://evil.example"}).status_code == 403


def test_what_is_guarded_is_not_kept_by_shared_caches(guarded: Served):
    """With a token, pictures are for who brought it."""
    guarded.client.headers["Authorization"] = f"Bearer {TOKEN}"
    key = guarded.upload("private.png")
    assert guarded.client.get(f"/renditions/{key}/small").headers["cache-control"].startswith("private,")
    del guarded.client.headers["Authorization"]


def test_the_url_of_an_upload_is_enough_to_upload(guarded: Served):
    """Whoever was given it needs no token, as with what S3 presigns; a guess is of no use."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    body = {"name": "given.png", "type": "image/png", "bytes": 3}
    upload = guarded.client.post("/uploads", json=body, headers=bearer).json()["upload"]
    assert guarded.client.put("/uploads/guess", content=b"abc", headers=upload["headers"]).status_code == 404
    assert guarded.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 201


def test_a_short_token_is_refused():
    """A token that can be guessed guards nothing."""
    with pytest.raises(ValueError, match="at least 16"):
        WebSettings(token="short")


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
def test_every_answer_is_hardened(server: Served, method: str, path: str):
    """nosniff, a policy that runs nothing from elsewhere, no referrer, no frames: whatever the status."""
    headers = server.client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_unknown_paths_and_methods_are_problems(server: Served):
    """404 and 405 are problem+json too; 405 says what is allowed."""
    unknown = server.client.get("/nothing")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    wrong = server.client.post("/images")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in wrong.headers["allow"]
