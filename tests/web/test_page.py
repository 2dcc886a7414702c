"""The page in a real browser: dropped photographs become thumbnails on screen, and everybody can use it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pictures import picture
from tests.web.browser import Watched, chromium, needs_chromium, opened
from tests.web.serving import Served, served, url
from thumbsmith.web import WebSettings

SAMPLES = Path(__file__).parents[2] / "src" / "thumbsmith" / "samples"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server with five photographs and a file that is none."""
    with served(tmp_path_factory.mktemp("site"), recipe=RECIPE) as running:
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
    """Return a running browser."""
    with chromium() as running:
        yield running


@pytest.fixture
def browser(program: Browser) -> Iterator[BrowserContext]:
    """Return a fresh profile of it, which may write to the clipboard."""
    permissions = ["clipboard-read", "clipboard-write"]
    with program.new_context(permissions=permissions, viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest.fixture
def watched(site: Served, browser: BrowserContext) -> Iterator[Watched]:
    """Return the page, opened anew; afterwards it has complained of nothing and asked nobody else."""
    page = opened(browser, url(site.address))
    yield page
    assert page.complaints == []
    assert all(each.startswith((url(site.address), "blob:", "data:")) for each in page.asked)
    page.page.close()


def _drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page, as from a file manager."""
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


def test_a_dropped_photograph_becomes_thumbnails_on_screen(site: Served, watched: Watched):
    """Dropped, uploaded, made, shown; its renditions side by side with sizes and savings; in both folders on disk."""
    page = watched.page
    data = (SAMPLES / "rocket.jpg").read_bytes()
    _drop(page, "dropped rocket.jpg", data)
    card = page.get_by_role("link", name="dropped rocket.jpg")
    expect(card).to_be_visible(timeout=30_000)
    expect(card.locator("img.here")).to_be_visible()
    assert (site.sources / "dropped rocket.jpg").read_bytes() == data
    card.click()
    detail = page.get_by_role("dialog")
    expect(detail.get_by_role("row")).to_have_count(5)
    expect(detail.get_by_text("small.avif · 256 ×")).to_be_visible()
    assert "%" in detail.get_by_role("row").nth(2).inner_text()
    for image in detail.get_by_role("img").all():
        expect(image).to_have_class("here")
        assert image.evaluate("image => image.naturalWidth") in {64, 256}
    assert (site.thumbnails / "dropped rocket.jpg" / "small.avif").is_file()


def test_chosen_files_are_uploaded_and_a_rejected_one_says_why(site: Served, browser: BrowserContext):
    """Files from the chooser: a good one appears, a bad one stays in the list with the reason, and can be dismissed."""
    watched = opened(browser, url(site.address))
    page = watched.page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    chooser.value.set_files(
        [
            {"name": "chosen.png", "mimeType": "image/png", "buffer": picture(size=(400, 300), kind="png")},
            {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"},
            {"name": "words.txt", "mimeType": "text/plain", "buffer": b"words"},
        ]
    )
    expect(page.get_by_role("link", name="chosen.png")).to_be_visible(timeout=30_000)
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_text("not an image that is read here")).to_be_visible(timeout=30_000)
    expect(uploads.get_by_text("type: expected one of")).to_be_visible()
    for _ in range(2):
        page.get_by_role("button", name="Dismiss").first.click()
    expect(page.locator("#uploads")).to_be_hidden()
    assert all("422" in each or "415" in each for each in watched.complaints)
    page.close()


def test_the_placeholder_is_there_before_the_picture(watched: Watched):
    """A card has its image's color while the picture is on its way."""
    page = watched.page
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


def test_the_copied_markup_shows_the_image(watched: Watched):
    """The <picture> that is copied is valid markup, and a page made of it shows the best format."""
    page = watched.page
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


def test_the_gallery_is_searched_by_prefix(watched: Watched):
    """What is typed selects; nothing found is said; everything comes back."""
    page = watched.page
    expect(page.get_by_role("link", name="samples/coffee.webp")).to_be_visible()
    page.get_by_label("Names that begin with").fill("samples/c")
    expect(page.get_by_role("list", name="Images").get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Names that begin with").fill("nothing/")
    expect(page.get_by_text("No image has a name that begins with")).to_be_visible()
    page.get_by_label("Names that begin with").fill("")
    expect(page.get_by_role("link", name="samples/rocket.jpg")).to_be_visible()


def test_a_long_gallery_comes_page_by_page(tmp_path: Path, browser: BrowserContext):
    """Sixty first, the rest when asked for."""
    with served(tmp_path) as site:
        for number in range(70):
            (site.sources / f"{number:02}.png").write_bytes(picture(size=(9, 9)))
        for number in range(70):
            site.until(f"{number:02}.png", 200)
        page = opened(browser, url(site.address)).page
        items = page.get_by_role("list", name="Images").get_by_role("listitem")
        expect(items).to_have_count(60)
        page.get_by_role("button", name="Show more").click()
        expect(items).to_have_count(70)
        expect(page.get_by_role("button", name="Show more")).to_be_hidden()
        page.close()


def test_rejected_files_are_listed_with_reasons(watched: Watched):
    """The code and a sentence."""
    page = watched.page
    page.get_by_role("link", name="Rejected", exact=True).click()
    row = page.get_by_role("list", name="Rejected").get_by_role("listitem").filter(has_text="bad/notes.png")
    expect(row).to_contain_text("unsupported_format")
    expect(row).to_contain_text("not an image that is read here")


def test_the_recipe_is_checked_as_it_is_typed_and_previewed(watched: Watched):
    """A mistake is named at once; a change shows in the preview of a chosen photo; nothing is saved."""
    page = watched.page
    page.get_by_role("link", name="Recipe").click()
    expect(page.get_by_text("A recipe of 2 variants, as it holds here.")).to_be_visible()
    page.get_by_label("thumbsmith.toml").fill("[variants.small]\nwidht = 100")
    expect(page.get_by_text("width")).to_be_visible()
    assert page.get_by_label("thumbsmith.toml").get_attribute("aria-invalid") == "true"
    page.get_by_label("thumbsmith.toml").fill(
        "[variants.tall]\nwidth = 40\nheight = 90\nfit = 'cover'\nformats = ['png']"
    )
    page.get_by_label("Photo").select_option("samples/astronaut.jpg")
    expect(page.get_by_text("tall · 40 × 90 · png")).to_be_visible(timeout=20_000)
    assert page.locator("#preview-picture").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [40, 90]
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_text("as it holds here")).to_be_visible()


def test_an_image_is_deleted_after_a_second_thought(site: Served, watched: Watched):
    """The first click asks, the second deletes: on disk and on screen."""
    site.upload("doomed.png", picture(size=(300, 200), kind="png"))
    page = watched.page
    page.reload()
    page.get_by_role("link", name="doomed.png").click()
    button = page.get_by_role("dialog").get_by_role("button", name="Delete")
    button.click()
    assert (site.sources / "doomed.png").exists()
    button.click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name="doomed.png")).to_have_count(0)
    assert not (site.sources / "doomed.png").exists()
    assert not (site.thumbnails / "doomed.png").exists()


def test_the_page_can_be_used_by_keyboard(watched: Watched):
    """Tab leads past the skip link to everything; Enter opens an image, Escape closes it, and focus comes back."""
    page = watched.page
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
def test_everybody_can_use_it(site: Served, program: Browser, scheme: str, width: int):
    """axe-core finds nothing serious in any view, light and dark, wide and narrow; nothing is wider than the screen."""
    with program.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True) as browser:
        watched = opened(browser, url(site.address))
        page = watched.page
        page.add_style_tag(content="* { transition: none !important }")
        for view, ready in (
            ("", "#grid img.here"),
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
        assert watched.complaints == []


def test_a_server_with_a_token_asks_for_it(tmp_path: Path, browser: BrowserContext):
    """A wrong token is refused, the right one lets pages and pictures in."""
    token = "0123456789abcdef-only-for-tests"
    with served(tmp_path, WebSettings(token=token)) as site:
        site.client.headers["Authorization"] = f"Bearer {token}"
        site.upload("private.png", picture(size=(90, 90), kind="png"))
        page = opened(browser, url(site.address)).page
        for given in ("wrong-wrong-wrong", token):
            page.get_by_role("textbox", name="Token").fill(given)
            page.get_by_role("button", name="Enter").click()
            expect(
                page.get_by_text("This is not the token.")
                if given != token
                else page.get_by_role("link", name="private.png")
            ).to_be_visible()
        expect(page.locator("#grid img.here")).to_be_visible()
        page.close()


def test_names_are_shown_as_text(tmp_path: Path, browser: BrowserContext):
    """A name full of markup is a name."""
    name = '<img src=x onerror="document.title=1">&amp;.png'
    with served(tmp_path) as site:
        site.upload(name, picture(size=(90, 90), kind="png"))
        watched = opened(browser, url(site.address))
        link = watched.page.get_by_role("link", name=name)
        expect(link).to_be_visible()
        link.click()
        expect(watched.page.get_by_role("heading", name=name)).to_be_visible()
        expect(watched.page.locator("#detail img.here").first).to_be_visible()
        assert watched.complaints == []
        watched.page.close()
