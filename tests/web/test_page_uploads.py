"""Uploads by the page in a real browser: chosen, dropped and pasted files, folders, cancel and retry."""

import base64
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.pictures import picture
from tests.web.browser import RecordedPage, needs_chromium, open_page
from tests.web.serving import RunningServer, run_server, url

pytestmark = needs_chromium

FILES = """files => {
    const transfer = new DataTransfer();
    for (const { name, type, data } of files) {
        const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type }));
    }
    return transfer;
}"""


def _transfer(page: Page, *files: tuple[str, bytes]):
    """Return files as a file manager gives them to the page."""
    content = [{"name": name, "type": "image/jpeg", "data": base64.b64encode(data).decode()} for name, data in files]
    return page.evaluate_handle(FILES, content)


def _choose(page: Page, *files: tuple[str, str, bytes]) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    chooser.value.set_files([{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files])


def _panel(page: Page):
    return page.get_by_role("region", name="Uploads")


def _card(page: Page, name: str):
    return page.get_by_role("list", name="Images").get_by_role("link", name=name)


def test_dropped_and_pasted_images_get_thumbnails(site: RunningServer, recorded: RecordedPage):
    """A file that is dropped or pasted is stored as it is and appears in the gallery with its thumbnail."""
    page, data = recorded.page, picture("#205080", (300, 200))
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", event, {"dataTransfer": _transfer(page, ("dropped.jpg", data))})
    expect(_card(page, "dropped.jpg").locator("img.loaded")).to_be_visible(timeout=30_000)
    page.evaluate(
        "transfer => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true }))",
        _transfer(page, ("image.png", data)),
    )
    expect(_card(page, "pasted-")).to_be_visible(timeout=30_000)
    assert (site.sources / "dropped.jpg").read_bytes() == data
    assert [each.read_bytes() for each in site.sources.glob("pasted-*.png")] == [data]
    expect(_panel(page)).to_contain_text("1 of 1 image uploaded")


def test_fifty_files_have_fifty_results(site: RunningServer, browser: BrowserContext):
    """Of fifty files, four that cannot be used come first with their reasons, and the others are made."""
    recorded = open_page(browser, url(site.address))
    page = recorded.page
    good = [(f"many-{number:02}.jpg", "image/jpeg", picture(f"#2040{number:02}", (90, 60))) for number in range(46)]
    bad = [
        ("broken.jpg", "image/jpeg", b"broken", "This is not an image format that Thumbsmith reads."),
        ("large.jpg", "image/jpeg", os.urandom(2_000_001), "Too large: 2.0 MB. The limit is 2.0 MB."),
        ("empty.jpg", "image/jpeg", b"", "The file is empty."),
        ("words.txt", "text/plain", b"words", "Not an image. Thumbsmith reads JPEG, PNG,"),
    ]
    _choose(page, *good[:30], *(each[:3] for each in bad), *good[30:])
    expect(page.locator("#uploads-summary")).to_have_text("46 of 50 images uploaded, 4 failed", timeout=120_000)
    rows = _panel(page).get_by_role("list", name="Files").get_by_role("listitem")
    first = rows.all_inner_texts()[:4]
    for name, _, _, reason in bad:
        assert any(name in text and reason in text for text in first), first
    for name, _, data in good:
        assert (site.sources / name).read_bytes() == data
        assert (site.thumbnails / name / "manifest.json").is_file()
    assert not (site.sources / "large.jpg").exists()
    expect(page.get_by_role("link", name="Rejected")).to_contain_text("2")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(_panel(page)).to_be_hidden()
    assert all("422" in each for each in recorded.messages), recorded.messages
    page.close()


def test_an_upload_is_canceled_and_retried(site: RunningServer, browser: BrowserContext):
    """A canceled upload stores nothing. Its retry, and the retry of a failed one, get the name that they asked for."""
    page = open_page(browser, url(site.address)).page
    data = picture("#808020", (90, 60))
    page.route("**/uploads/*", lambda route: None)  # the server does not get the file
    _choose(page, ("held.jpg", "image/jpeg", data))
    page.get_by_role("button", name="Cancel: held.jpg").click()
    expect(_panel(page)).to_contain_text("1 canceled")
    page.unroute_all(behavior="ignoreErrors")
    assert not (site.sources / "held.jpg").exists()
    page.get_by_role("button", name="Retry: held.jpg").click()
    expect(page.locator("#uploads-summary")).to_have_text("1 of 1 image uploaded", timeout=30_000)
    page.route("**/uploads/*", lambda route: route.fulfill(status=500, json={"detail": "The disk is full."}))
    _choose(page, ("failing.jpg", "image/jpeg", data))
    expect(_panel(page)).to_contain_text("The disk is full.")
    page.unroute_all()
    page.get_by_role("button", name="Retry failed").click()
    expect(page.locator("#uploads-summary")).to_have_text("1 of 1 image uploaded", timeout=30_000)
    for name in ("held.jpg", "failing.jpg"):
        assert (site.sources / name).read_bytes() == data
        expect(_card(page, name)).to_be_visible()
    page.close()


def test_a_folder_is_uploaded_with_its_paths(site: RunningServer, recorded: RecordedPage, tmp_path: Path):
    """The images of a folder keep their paths; hidden files are left out, and other files are counted."""
    for name in ("trip/one.jpg", "trip/sub/two.png", "trip/notes.txt", "trip/.hidden.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture())
    page = recorded.page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(tmp_path / "trip")
    summary = "2 of 2 images uploaded, 1 file left out: not an image"
    expect(page.locator("#uploads-summary")).to_have_text(summary, timeout=30_000)
    found = sorted(str(each.relative_to(site.sources)) for each in (site.sources / "trip").rglob("*.*"))
    assert found == ["trip/one.jpg", "trip/sub/two.png"]


def test_the_file_dialog_offers_the_formats_of_the_server(site: RunningServer, recorded: RecordedPage):
    """The types and suffixes come from the table of the engine."""
    expect(recorded.page.locator("#files")).to_have_attribute("accept", re.compile("image/jpeg"))
    accepted = set((recorded.page.locator("#files").get_attribute("accept") or "").split(","))
    formats = site.client.get("/formats").json()["formats"]
    assert accepted == {name for each in formats for name in (*each["types"], *each["suffixes"])}


@pytest.mark.parametrize("has_images", [False, True])
def test_the_drop_zone_is_small_if_there_are_images(tmp_path: Path, browser: BrowserContext, has_images: bool):
    """An empty page shows a large place to drop images; otherwise it is one line."""
    with run_server(tmp_path) as site:
        if has_images:
            site.upload("x.png", picture(size=(90, 90), kind="png"))
        page = open_page(browser, url(site.address)).page
        expect(_card(page, "x.png") if has_images else page.get_by_text("There are no images yet.")).to_be_visible()
        height = page.locator("#drop").evaluate("drop => drop.offsetHeight")
        assert (height < 90) is has_images
        page.close()


def test_an_upload_continues_when_the_server_is_back(tmp_path: Path, browser: BrowserContext):
    """A server that stops during an upload is reported; the upload continues when it starts again."""
    data = picture("#101010", (90, 60))
    with run_server(tmp_path) as first:
        page = open_page(browser, url(first.address)).page
        expect(page.get_by_text("There are no images yet.")).to_be_visible()
        port = first.address[1]
    _choose(page, ("patient.jpg", "image/jpeg", data))
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    with run_server(tmp_path, port=port) as second:
        expect(page.locator("#uploads-summary")).to_have_text("1 of 1 image uploaded", timeout=60_000)
        assert (second.sources / "patient.jpg").read_bytes() == data
        page.close()
