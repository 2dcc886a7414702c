"""S3 keeps the contract on two unrelated servers and with both transports."""

import pytest

from tests.servers.fixtures import administrator, needs_servers
from tests.store.contract import Contract
from tests.store.test_contract import AWKWARD
from thumbsmith.store import Store, open_store

AWKWARD_KEYS = (*AWKWARD.replace("\n", "|").split("|"), "a\nb", "a+b", "a%2Bb", "a b", "a%20b", " ", "?", "#", "&<>'\"")

# A tree of files cannot hold them: a file and a folder of one name, empty components, "." and "..", NUL.
NO_FILES = {"a", "a/", "a//", "a/b", "/", "//", "/a", "./a", "../a", "a/../../b", "..", "a\\..\\b", "\0", "\0/x"}


@needs_servers
class TestMinistack(Contract):
    """A whole bucket that holds every key, as S3 does."""

    keys = (*Contract.keys, *AWKWARD_KEYS)

    @pytest.fixture
    def store(self, way: str, ministack: str) -> Store:
        """Return an empty store."""
        return open_store(ministack)


@needs_servers
class TestMinistackPrefix(Contract):
    """A part of a bucket, under a prefix with characters that must be encoded."""

    keys = (*Contract.keys, *AWKWARD_KEYS)

    @pytest.fixture
    def store(self, way: str, ministack: str) -> Store:
        """Return an empty store, beside objects outside of its prefix."""
        for key in ("Été #1 %2F+", "Été #1 %2F+/", "Été #1 %2F+x/a.jpg", "a.jpg"):
            administrator().put_object(Bucket=ministack[5:], Key=key, Body=b"")
        return open_store(f"{ministack}/Été #1 %2F+")


@needs_servers
class TestSeaweedfs(Contract):
    """A server that keeps a tree of files and checks every signature."""

    keys = (*Contract.keys, *(key for key in AWKWARD_KEYS if key not in NO_FILES))

    @pytest.fixture
    def store(self, way: str, seaweedfs: str) -> Store:
        """Return an empty store."""
        return open_store(f"{seaweedfs}/thumbs")
