"""`thumbsmith sign`: signs only addresses that a server accepts."""

import pytest

from tests.cli.command import Command


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["width=99999"], "width"),
        (["width=2049"], "2048"),
        (["width=10", "format=gif"], "gif"),
        (["width=10", "fit=outside", "height=10"], "fit"),
        (["width=10", "fit=cover"], "width, height"),
        (["width=0"], "width"),
        (["quality=80"], "width, height"),
        (["width=10", "quality=101"], "quality"),
        (["width=10", "size=3"], "size"),
    ],
)
def test_what_the_server_refuses_is_not_signed(thumbsmith: Command, options: list[str], found: str):
    """Fields that the server would refuse give exit code 2, one sentence, and no address."""
    thumbsmith.patch.setenv("THUMBSMITH_SIGNING_SECRET", "0123456789abcdef")
    ran = thumbsmith("sign", "a.jpg", *options)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert found in ran.err


def test_the_rest_is_signed(thumbsmith: Command):
    """Fields within the limits give an address."""
    thumbsmith.patch.setenv("THUMBSMITH_SIGNING_SECRET", "0123456789abcdef")
    ran = thumbsmith("sign", "a.jpg", "width=2048", "format=avif")
    assert (ran.code, "/on-demand/a.jpg?" in ran.out) == (0, True)
