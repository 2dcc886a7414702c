"""Uploads in one request: `PUT /images/{key}`, whose body is the image, and `POST /images`, a form with images.

The files go to the store while they arrive. Each one is stored whole or not at all. So a request that was interrupted
can be repeated. Each file of a form has its own result.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import ThumbsmithError
from thumbsmith.web.http import (
    RETRY_AFTER_SECONDS,
    Problem,
    flag_from_query,
    json_response,
    key_from_path,
    problem_from_error,
    wait_seconds,
)
from thumbsmith.web.images import ImageEndpoints
from thumbsmith.web.incoming import IncomingFile, name_taken, refuse_name
from thumbsmith.web.library import ImageLibrary, Updater
from thumbsmith.web.media_types import accepted_type
from thumbsmith.web.multipart import FileStart, read_files

# The number of files in one form.
MAX_FILES: Final = 1_000

# A bucket takes a file in one piece, so it is in memory until then. More uploads than these wait.
MAX_BUFFERED_UPLOADS: Final = 4
_QUEUE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class FileResult:
    """The result of one file of a form: its key, and why it was not stored, if it was not."""

    key: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class DirectUploadEndpoints:
    """The endpoints for uploads in one request. `images` answers with the manifest."""

    library: ImageLibrary
    updater: Updater
    images: ImageEndpoints
    _busy: set[str] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_BUFFERED_UPLOADS))

    async def put(self, request: Request) -> Response:
        """Store the body under the key of the path: 201 with `wait`, else 202; 400, 409, 413, 415, 422, 503."""
        key, replace = key_from_path(request), flag_from_query(request, "replace")
        wait = wait_seconds(request, self.images.max_wait)
        kind = accepted_type(request.headers.get("content-type", ""), "Content-Type")
        _refuse_part(request.headers)
        self._refuse_length(request.headers.get("content-length", ""))
        async with self._incoming(key, kind, replace=replace) as file:
            await file.write_body(request)
            await file.commit(replace=replace)
        self.updater.enqueue(key)
        return await self.images.created(request, key, wait)

    async def post(self, request: Request) -> Response:
        """Store the files of a form under their names: the answer for one file is that of `put`.

        For several files it is a list: 201 if all are made, 202 if some are being made, 207 if some were refused.
        """
        wait = wait_seconds(request, self.images.max_wait)
        replace, prefix = flag_from_query(request, "replace"), request.query_params.get("prefix", "")
        results: list[FileResult] = []
        try:
            await self._store_files(request, prefix, results, replace=replace)
        except Problem as problem:
            problem.more["stored"] = [each.key for each in results if each.problem is None]
            raise
        if not results:
            detail = "The form contains no file. With curl, write @ before its path: -F file=@photo.jpg"
            raise Problem(400, detail, code="bad_body")
        if len(results) == 1:
            if problem_of_file := results[0].problem:
                raise problem_of_file
            return await self.images.created(request, results[0].key, wait)
        return await self._answer_for_several(request, results, wait)

    def _refuse_length(self, length: str) -> None:
        """Raise Problem (413) before the body arrives, if its length is known and too large."""
        max_bytes = self.library.recipe.limits.max_bytes
        if length.isascii() and length.isdigit() and int(length[:18]) > max_bytes:
            raise Problem(413, f"Content-Length: expected {max_bytes} or fewer.", code="too_many_bytes")

    @asynccontextmanager
    async def _incoming(self, key: str, kind: str, *, replace: bool) -> AsyncIterator[IncomingFile]:
        """Return a file to write to, after its name was checked. Raises Problem: 409, 422, 503."""
        library = self.library
        refuse_name(library, key)
        if not replace and await library.run(library.source.head, key) is not None:
            raise name_taken()
        async with self._slot(key), IncomingFile(library, key, kind, library.recipe.limits.max_bytes) as file:
            yield file

    @asynccontextmanager
    async def _slot(self, key: str) -> AsyncIterator[None]:
        """Wait until memory for a file is free. A folder needs none, and links a whole file to a free name.

        Raises Problem: 409 while another request uploads this key, and 503 after _QUEUE_SECONDS.
        """
        if self.library.source.local_root is not None:
            yield
            return
        if key in self._busy:
            raise name_taken()
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            headers = {"Retry-After": RETRY_AFTER_SECONDS}
            raise Problem(503, "Too many files are being uploaded.", code="try_again", headers=headers) from None
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)
            self._slots.release()

    async def _store_files(self, request: Request, prefix: str, results: list[FileResult], *, replace: bool) -> None:
        """Store each file of the form, and append its result. Raises Problem if the form is damaged."""
        events = read_files(request)
        async for event in events:
            if isinstance(event, FileStart):
                if len(results) == MAX_FILES:
                    raise Problem(413, f"Expected {MAX_FILES} files or fewer.", code="too_many_files")
                key = prefix + event.name
                is_first = all(each.key != key for each in results)
                results.append(await self._store_file(key, event, events, replace=replace and is_first))

    async def _store_file(
        self, key: str, start: FileStart, events: AsyncIterator[object], *, replace: bool
    ) -> FileResult:
        """Store the file whose content follows. The caller drops the rest of a file that is refused."""
        try:
            kind = accepted_type(start.type, "Content-Type")
            async with self._incoming(key, kind, replace=replace) as file:
                async for event in events:
                    if not isinstance(event, bytes):
                        break
                    await file.write(event)
                await file.commit(replace=replace)
        except Problem as problem:
            return FileResult(key, problem)
        except ThumbsmithError as error:
            return FileResult(key, problem_from_error(error))
        self.updater.enqueue(key)
        return FileResult(key)

    async def _answer_for_several(self, request: Request, results: Sequence[FileResult], wait: float) -> Response:
        answers = await asyncio.gather(*(self._answer(request, each, wait) for each in results))
        statuses = {answer["status"] for answer in answers}
        status = 201 if statuses == {201} else 202 if statuses <= {201, 202} else 207
        return json_response({"images": answers}, status)

    async def _answer(self, request: Request, result: FileResult, wait: float) -> dict[str, Any]:
        """Return the answer for one of several files: its key, its status, and the manifest or the problem."""
        if result.problem:
            return _refused(result.key, result.problem)
        try:
            response = await self.images.created(request, result.key, wait)
        except Problem as problem:
            return _refused(result.key, problem)
        name = "manifest" if response.status_code == 201 else "making"
        return {"key": result.key, "status": response.status_code, name: json.loads(bytes(response.body))}


def _refuse_part(headers: Mapping[str, str]) -> None:
    """Raise Problem for a body that is not the file itself: a part of it, or the file in a content coding.

    RFC 9110, sections 14.5 and 8.4. `curl -C` sends a part.
    """
    if "content-range" in headers:
        raise Problem(400, "Content-Range: expected the whole file. Send it again from its start.", code="bad_body")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        detail = "Content-Encoding: expected the file without a coding."
        raise Problem(415, detail, code="unsupported_type", headers={"Accept-Encoding": "identity"})


def _refused(key: str, problem: Problem) -> dict[str, Any]:
    return {"key": key, "status": problem.status, "problem": problem.content()}
