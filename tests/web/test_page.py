"""The page in a real browser: uploads, gallery, details, recipe, and accessibility."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pictures import picture
from tests.web.browser import RecordedPage, chromium, needs_chromium, open_page
from tests.web.serving import RunningServer, run_application, run_server, url
from thumbsmith import Recipe
from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web import WebSettings

SAMPLES = Path(__file__).parents[2] / "src" / "thumbsmith" / "samples"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server with the sample photographs and a rejected file."""
    with run_server(tmp_path_factory.mktemp("site"), recipe=RECIPE) as running:
        for sample in sorted(SAMPLES.glob("*.[jpw]*")):
            running.upload(f"samples/{sample.name}", sample.read_bytes())
        running.upload("bad/notes.png", b"these are notes")
        yield running


RECIPE = """
[variants.icon]
width = 64
height = 64
fit = "cover"

[variants.small]
width = 256
formats = ["avif", "webp", "jpeg"]
"""


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    """Return a running browser for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def browser(program: Browser) -> Iterator[BrowserContext]:
    """Return a new profile of the browser that may use the clipboard."""
    permissions = ["clipboard-read", "clipboard-write"]
    with program.new_context(permissions=permissions, viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest.fixture
def recorded(site: RunningServer, browser: BrowserContext) -> Iterator[RecordedPage]:
    """Return the page. After the test, check that it reported no error and used no other server."""
    page = open_page(browser, url(site.address))
    yield page
    assert page.messages == []
    assert all(each.startswith((url(site.address), "blob:", "data:")) for each in page.requests)
    page.page.close()


def _drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page, as a file manager does."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
            return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", event, {"dataTransfer": transfer})


def test_a_dropped_image_gets_thumbnails(site: RunningServer, recorded: RecordedPage):
    """A dropped file is uploaded and stored; the page shows its thumbnails, sizes and savings."""
    page = recorded.page
    data = (SAMPLES / "rocket.jpg").read_bytes()
    _drop(page, "dropped rocket.jpg", data)
    card = page.get_by_role("link", name="dropped rocket.jpg")
    expect(card).to_be_visible(timeout=30_000)
    expect(card.locator("img.loaded")).to_be_visible()
    assert (site.sources / "dropped rocket.jpg").read_bytes() == data
    card.click()
    detail = page.get_by_role("dialog")
    expect(detail.get_by_role("row")).to_have_count(5)
    expect(detail.get_by_text("small.avif · 256 ×")).to_be_visible()
    assert "%" in detail.get_by_role("row").nth(2).inner_text()
    for image in detail.get_by_role("img").all():
        expect(image).to_have_class("loaded")
        assert image.evaluate("image => image.naturalWidth") in {64, 256}
    assert (site.thumbnails / "dropped rocket.jpg" / "small.avif").is_file()


def test_chosen_files_are_uploaded(site: RunningServer, browser: BrowserContext):
    """A valid file appears in the gallery; an invalid one shows the reason until it is dismissed."""
    recorded = open_page(browser, url(site.address))
    page = recorded.page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    chooser.value.set_files(
        [
            {"name": "chosen.png", "mimeType": "image/png", "buffer": picture(size=(400, 300), kind="png")},
            {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"not an image"},
            {"name": "words.txt", "mimeType": "text/plain", "buffer": b"words"},
        ]
    )
    expect(page.get_by_role("link", name="chosen.png")).to_be_visible(timeout=30_000)
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_text("not a supported image format")).to_be_visible(timeout=30_000)
    expect(uploads.get_by_text("type: expected one of")).to_be_visible()
    for _ in range(2):
        page.get_by_role("button", name="Dismiss").first.click()
    expect(page.locator("#uploads")).to_be_hidden()
    assert all("422" in each or "415" in each for each in recorded.messages)
    page.close()


def test_a_card_shows_the_average_color_first(recorded: RecordedPage):
    """A card has the average color of its image until the thumbnail is loaded."""
    page = recorded.page
    page.route("**/renditions/**", lambda route: None)
    page.reload()
    frame = page.get_by_role("link", name="samples/coffee.webp").locator(".frame")
    expect(frame).to_have_css("background-color", _rgb(page, "samples/coffee.webp"))
    expect(frame.locator("img")).to_have_css("opacity", "0")
    page.unroute_all(behavior="ignoreErrors")


def _rgb(page: Page, key: str) -> str:
    answer = page.request.get(f"{page.url.partition('#')[0]}images?prefix={key}").json()
    color = answer["images"][0]["color"]
    return f"rgb({int(color[1:3], 16)}, {int(color[3:5], 16)}, {int(color[5:7], 16)})"


def test_the_copied_markup_shows_the_image(recorded: RecordedPage):
    """A page with the copied <picture> shows the thumbnail in the best format."""
    page = recorded.page
    page.get_by_role("link", name="samples/chelsea.jpg").click()
    page.get_by_role("button", name="Copy <picture>").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    markup = page.evaluate("navigator.clipboard.readText()")
    assert markup.startswith("<picture>")
    assert 'type="image/avif"' in markup
    page.route("**/snippet", lambda route: route.fulfill(body=f"<!doctype html>{markup}", content_type="text/html"))
    page.goto(page.url.partition("#")[0] + "snippet")
    image = page.locator("img")
    page.wait_for_load_state("networkidle")
    assert image.evaluate("image => image.currentSrc").partition("?")[0].endswith("small.avif")
    assert image.evaluate("image => image.naturalWidth") > 0


def test_the_gallery_is_filtered_by_prefix(recorded: RecordedPage):
    """The filter selects images, reports an empty result, and can be cleared."""
    page = recorded.page
    expect(page.get_by_role("link", name="samples/coffee.webp")).to_be_visible()
    page.get_by_label("Name starts with").fill("samples/c")
    expect(page.get_by_role("list", name="Images").get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Name starts with").fill("nothing/")
    expect(page.get_by_text("No image has a name that starts with")).to_be_visible()
    page.get_by_label("Name starts with").fill("")
    expect(page.get_by_role("link", name="samples/rocket.jpg")).to_be_visible()


def test_a_long_gallery_has_pages(tmp_path: Path, browser: BrowserContext):
    """The gallery shows sixty images first, and the rest after a click."""
    with run_server(tmp_path) as site:
        for number in range(70):
            (site.sources / f"{number:02}.png").write_bytes(picture(size=(9, 9)))
        for number in range(70):
            site.wait_for_status(f"{number:02}.png", 200)
        page = open_page(browser, url(site.address)).page
        items = page.get_by_role("list", name="Images").get_by_role("listitem")
        expect(items).to_have_count(60)
        page.get_by_role("button", name="Show more").click()
        expect(items).to_have_count(70)
        expect(page.get_by_role("button", name="Show more")).to_be_hidden()
        page.close()


def test_rejected_files_are_listed_with_reasons(recorded: RecordedPage):
    """Each rejected file is shown with its code and a sentence."""
    page = recorded.page
    page.get_by_role("link", name="Rejected", exact=True).click()
    row = page.get_by_role("list", name="Rejected").get_by_role("listitem").filter(has_text="bad/notes.png")
    expect(row).to_contain_text("unsupported_format")
    expect(row).to_contain_text("not a supported image format")


def test_the_recipe_is_checked_and_previewed(recorded: RecordedPage):
    """An error is shown while the user types, and the preview shows a valid change."""
    page = recorded.page
    page.get_by_role("link", name="Recipe").click()
    expect(page.get_by_text("Valid recipe with 2 variants. The server uses it.")).to_be_visible()
    page.get_by_label("thumbsmith.toml").fill("[variants.small]\nwidht = 100")
    expect(page.get_by_text("width")).to_be_visible()
    assert page.get_by_label("thumbsmith.toml").get_attribute("aria-invalid") == "true"
    page.get_by_label("thumbsmith.toml").fill(
        "[variants.tall]\nwidth = 40\nheight = 90\nfit = 'cover'\nformats = ['png']"
    )
    page.get_by_label("Image", exact=True).select_option("samples/astronaut.jpg")
    expect(page.get_by_text("tall · 40 × 90 · png")).to_be_visible(timeout=20_000)
    assert page.locator("#preview-picture").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [40, 90]
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("The server uses it.")).to_be_visible()


def test_an_image_is_deleted_by_the_second_click(site: RunningServer, recorded: RecordedPage):
    """The first click only asks; the second one deletes the image, its thumbnails and its card."""
    site.upload("deleted.png", picture(size=(300, 200), kind="png"))
    page = recorded.page
    page.reload()
    page.get_by_role("link", name="deleted.png").click()
    button = page.get_by_role("dialog").get_by_role("button", name="Delete")
    button.click()
    assert (site.sources / "deleted.png").exists()
    button.click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name="deleted.png")).to_have_count(0)
    assert not (site.sources / "deleted.png").exists()
    assert not (site.thumbnails / "deleted.png").exists()


def test_the_page_works_with_the_keyboard(recorded: RecordedPage):
    """Tab reaches the skip link and the images; Enter opens an image; Escape closes it and restores the focus."""
    page = recorded.page
    expect(page.get_by_role("link", name="samples/astronaut.jpg")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("samples/astronaut.jpg"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name="samples/astronaut.jpg")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_accessible(site: RunningServer, program: Browser, scheme: str, width: int):
    """axe-core finds no serious fault in any view, light or dark; no view is wider than the screen."""
    with program.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True) as browser:
        recorded = open_page(browser, url(site.address))
        page = recorded.page
        page.add_style_tag(content="* { transition: none !important }")
        for view, ready in (
            ("", "#grid img.loaded"),
            ("#/image/samples%2Fcoffee.webp", "#detail table"),
            ("#/rejected", ".rejection"),
            ("#/recipe", "#preview-picture:not([hidden])"),
        ):
            page.goto(f"{url(site.address)}/{view}")
            page.wait_for_selector(ready, timeout=20_000)
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            assert [each for each in found if each["impact"] in {"serious", "critical"}] == [], (
                view,
                json.dumps(found),
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert recorded.messages == []


def test_the_page_asks_for_the_token(tmp_path: Path, browser: BrowserContext):
    """A wrong token shows an error; the right one loads the gallery and its thumbnails."""
    token = "0123456789abcdef-only-for-tests"
    with run_server(tmp_path, WebSettings(token=token)) as site:
        site.client.headers["Authorization"] = f"Bearer {token}"
        site.upload("private.png", picture(size=(90, 90), kind="png"))
        page = open_page(browser, url(site.address)).page
        for given in ("wrong-wrong-wrong", token):
            page.get_by_role("textbox", name="Token").fill(given)
            page.get_by_role("button", name="Sign in").click()
            expect(
                page.get_by_text("The token is wrong.")
                if given != token
                else page.get_by_role("link", name="private.png")
            ).to_be_visible()
        expect(page.locator("#grid img.loaded")).to_be_visible()
        page.close()


def test_names_are_shown_as_text(tmp_path: Path, browser: BrowserContext):
    """Markup in a name is not interpreted."""
    name = '<img src=x onerror="document.title=1">&amp;.png'
    with run_server(tmp_path) as site:
        site.upload(name, picture(size=(90, 90), kind="png"))
        recorded = open_page(browser, url(site.address))
        link = recorded.page.get_by_role("link", name=name)
        expect(link).to_be_visible()
        link.click()
        expect(recorded.page.get_by_role("heading", name=name)).to_be_visible()
        expect(recorded.page.locator("#detail img.loaded").first).to_be_visible()
        assert recorded.messages == []
        recorded.page.close()


@dataclass(frozen=True)
class FailingStore(MemoryStore):
    """A store in which nothing can be written while `failures` contains an error."""

    failures: list[StoreError] = field(default_factory=list)

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object. Raises the error, if there is one."""
        if self.failures:
            raise self.failures[0]
        return super().put(key, data, headers)


@pytest.mark.parametrize(("transient", "action"), [(True, "The server tries again."), (False, "reload this page.")])
def test_a_failure_is_shown_until_it_is_corrected(browser: BrowserContext, transient: bool, action: str):
    """An image whose thumbnails cannot be written shows the reason and what to do, in the grid and alone."""
    sources, thumbnails = MemoryStore("sources"), FailingStore("thumbnails")
    thumbnails.failures.append(StoreError("No space left on device", transient=transient))
    sources.put("a.png", picture(), Headers(content_type="image/png"))
    scope = Scope(source=sources, destination=thumbnails, recipe=Recipe.loads(RECIPE))
    with run_application(scope) as address:
        page = open_page(browser, url(address)).page
        card = page.get_by_role("link", name="a.png")
        expect(card).to_contain_text("No space left on device.", timeout=60_000)
        expect(card).to_contain_text(action)
        card.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("No space left on device.", timeout=60_000)
        expect(dialog).to_contain_text(action)
        page.keyboard.press("Escape")
        thumbnails.failures.clear()
        while not transient and "No space" in card.inner_text():  # a failure is not tried again within two seconds
            page.wait_for_timeout(500)
            page.reload()
            expect(card).not_to_contain_text("Making thumbnails", timeout=60_000)
        expect(card.locator("img")).to_be_visible(timeout=60_000)
        expect(card).not_to_contain_text("No space left")


def test_a_server_that_ended_is_shown(browser: BrowserContext):
    """If the server ends while thumbnails are made, the image says so."""
    sources, thumbnails = MemoryStore("sources"), FailingStore("thumbnails")
    thumbnails.failures.append(StoreError("No space left on device", transient=True))
    sources.put("a.png", picture(), Headers(content_type="image/png"))
    scope = Scope(source=sources, destination=thumbnails, recipe=Recipe.loads(RECIPE))
    with run_application(scope) as address:
        page = open_page(browser, url(address)).page
        expect(page.get_by_role("link", name="a.png")).to_contain_text("No space", timeout=60_000)
    expect(page.get_by_role("link", name="a.png")).to_contain_text("Start it again", timeout=60_000)
