"""The page in a real browser: gallery, one image, rejected files, recipe, and accessibility."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.cli.command import Command
from tests.pictures import picture
from tests.web.browser import RecordedPage, faults, needs_chromium, open_page
from tests.web.conftest import SAMPLES, SITE_RECIPE
from tests.web.serving import RunningServer, run_application, run_server, url
from thumbsmith import Recipe
from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web import WebSettings

pytestmark = needs_chromium


def _card(page: Page, name: str):
    return page.get_by_role("list", name="Images").get_by_role("link", name=name)


def _open(page: Page, name: str):
    _card(page, name).click()
    detail = page.locator("#detail")
    expect(detail.get_by_role("table")).to_be_visible()
    return detail


def test_a_card_shows_the_average_color_first(site: RunningServer, recorded: RecordedPage):
    """A card has the average color of its image until the thumbnail is loaded. A transparent image has no color."""
    page = recorded.page
    page.route("**/renditions/**", lambda route: None)
    page.reload()
    color = site.client.get("/images?prefix=samples/coffee").json()["images"][0]["color"]
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    frame = _card(page, "samples/coffee.webp").locator(".frame")
    expect(frame).to_have_css("background-color", f"rgb({red}, {green}, {blue})")
    expect(frame.locator("img")).to_have_css("opacity", "0")
    clear = _card(page, "samples/clear.png").locator(".frame")
    expect(clear).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert "conic-gradient" in clear.evaluate("frame => getComputedStyle(frame).backgroundImage")
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize(("density", "width"), [(1, 256), (2, 560)])
def test_cards_are_sharp(site: RunningServer, program: Browser, density: int, width: int):
    """The browser gets the thumbnail that has enough pixels for the card on its screen."""
    with program.new_context(device_scale_factor=density, viewport={"width": 1000, "height": 800}) as profile:
        page = open_page(profile, url(site.address)).page
        image = _card(page, "samples/coffee.webp").locator("img.loaded")
        expect(image).to_be_visible()
        shown = image.evaluate("image => image.currentSrc").partition("?")[0].rpartition("/")[2]
        assert shown.partition(".")[0] == {256: "small", 560: "large"}[width]


def test_images_are_searched_sorted_and_counted(recorded: RecordedPage):
    """The search finds text anywhere in a name, in any case; the count and the order follow."""
    page = recorded.page
    items = page.get_by_role("list", name="Images").get_by_role("listitem")
    expect(page.get_by_text("6 images", exact=True)).to_be_visible()
    page.get_by_label("Search in names").fill("EL")
    expect(items).to_have_count(1)
    expect(page.get_by_text("1 image found")).to_be_visible()
    page.get_by_label("Search in names").fill("nothing")
    expect(page.get_by_text("No image has “nothing” in its name.")).to_be_visible()
    page.get_by_label("Search in names").fill("")
    expect(items).to_have_count(6)
    page.get_by_label("Order").select_option("Largest first")
    expect(items.first).to_contain_text("rocket.jpg")


def test_a_long_gallery_loads_while_it_is_scrolled(tmp_path: Path, browser: BrowserContext):
    """Sixty images come first, and the others before their place is visible."""
    with run_server(tmp_path) as site:
        for number in range(150):
            (site.sources / f"{number:03}.png").write_bytes(picture(size=(9, 9)))
        for number in range(150):
            site.wait_for_status(f"{number:03}.png", 200)
        page = open_page(browser, url(site.address)).page
        items = page.get_by_role("list", name="Images").get_by_role("listitem")
        expect(page.get_by_text("150 images", exact=True)).to_be_visible()
        assert items.count() < 150
        while items.count() < 150:
            page.mouse.wheel(0, 2000)
            page.wait_for_timeout(50)
        expect(page.get_by_role("button", name="Show more")).to_be_hidden()
        page.close()


def test_the_copied_markup_is_that_of_the_command(site: RunningServer, recorded: RecordedPage):
    """A page with the copied <picture> shows the best format. The markup of a transparent image has no background."""
    page = recorded.page
    detail = _open(page, "samples/chelsea.jpg")
    detail.get_by_role("button", name="Copy <picture>").click()
    expect(detail.get_by_role("button", name="Copied")).to_be_visible()
    markup = page.evaluate("navigator.clipboard.readText()")
    base = f"{url(site.address)}/renditions"
    assert markup == site.client.get("/html/samples/chelsea.jpg", params={"base": base}).text
    assert "background-color" in markup
    detail.get_by_label("Description (alt)").fill("A cat")
    detail.get_by_label("Address of the thumbnails").fill("https://img.example")
    detail.get_by_label("Sizes").select_option("icon")
    expect(detail.get_by_label("HTML", exact=True)).to_contain_text('src="https://img.example/samples/chelsea.jpg/icon')
    expect(detail.get_by_label("HTML", exact=True)).to_contain_text('alt="A cat"')
    page.get_by_role("button", name="Close").click()
    clear = _open(page, "samples/clear.png")
    expect(clear.get_by_label("HTML", exact=True)).to_contain_text("https://img.example/samples/clear.png")
    expect(clear.get_by_label("HTML", exact=True)).not_to_contain_text("background")
    page.route("**/snippet", lambda route: route.fulfill(body=f"<!doctype html>{markup}", content_type="text/html"))
    page.goto(f"{url(site.address)}/snippet")
    page.wait_for_load_state("networkidle")
    assert page.locator("img").evaluate("image => image.currentSrc").partition("?")[0].endswith(".avif")
    assert page.locator("img").evaluate("image => image.naturalWidth") > 0


def test_one_image_is_shown_compared_and_zoomed(recorded: RecordedPage):
    """The table shows any thumbnail; 100 % shows its real pixels; the slider compares two with their sizes."""
    page = recorded.page
    detail = _open(page, "samples/rocket.jpg")
    expect(detail.get_by_role("row")).to_have_count(7)
    expect(detail.get_by_role("row").nth(1)).to_contain_text("%")
    detail.get_by_role("button", name="Show icon.webp").click()
    image = detail.locator(".stage img.loaded")
    expect(detail.get_by_text("icon.webp, 64 × 64")).to_be_visible()
    detail.get_by_role("button", name="Show large.jpg").click()
    detail.get_by_role("button", name="100 %").click()
    expect(image).to_have_js_property("offsetWidth", 560)
    detail.get_by_role("button", name="Compare").click()
    pair = detail.locator(".pair img")
    expect(pair).to_have_count(2)
    expect(detail.get_by_text("| large.")).to_contain_text("% ")
    slider = detail.get_by_role("slider")
    slider.press("Home")
    assert pair.nth(1).evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0px 0px 0%)"
    slider.press("End")
    assert pair.nth(1).evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0px 0px 100%)"
    detail.get_by_label("Right").select_option(index=0)
    expect(detail.get_by_text("| icon.webp, 64 × 64")).to_be_visible()


def test_the_next_image_is_one_key_away(recorded: RecordedPage):
    """Previous and Next follow the order of the gallery, by button and arrow key; Back leaves the image."""
    page = recorded.page
    _open(page, "samples/astronaut.jpg")
    title = page.locator("#detail-title")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("samples/chelsea.jpg")
    page.get_by_role("link", name="Next").click()
    expect(title).to_have_text("samples/clear.png")
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("samples/chelsea.jpg")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(_card(page, "samples/chelsea.jpg")).to_be_focused()


def test_another_size_has_a_signed_url(site: RunningServer, recorded: RecordedPage):
    """The page gets a URL of any size, which works."""
    page = recorded.page
    detail = _open(page, "samples/coffee.webp")
    detail.get_by_text("Another size on demand").click()
    detail.get_by_label("Width").fill("90")
    detail.get_by_label("Height").fill("50")
    detail.get_by_label("Fit").select_option("cover")
    detail.get_by_role("button", name="Create URL").click()
    expect(detail.get_by_text("Valid until")).to_be_visible()
    address = detail.get_by_role("link", name="/on-demand/").get_attribute("href")
    assert site.client.get(address).headers["content-type"] == "image/webp"


def test_rejected_files_are_listed_with_reasons(recorded: RecordedPage):
    """The navigation shows their number; each one has a plain reason, the detail and the code."""
    page = recorded.page
    link = page.get_by_role("link", name="Rejected 1")
    expect(link).to_be_visible()
    link.click()
    row = page.get_by_role("list", name="Rejected").get_by_role("listitem").filter(has_text="bad/notes.png")
    expect(row).to_contain_text("This is not an image format that Thumbsmith reads.")
    expect(row).to_contain_text("unsupported_format")


def test_the_recipe_is_checked_planned_previewed_and_saved(tmp_path: Path, browser: BrowserContext):
    """An error is shown while the user types. A valid change is previewed and counted, then saved and used."""
    with run_server(tmp_path, WebSettings(recipe_file=tmp_path / "thumbsmith.toml"), SITE_RECIPE) as running:
        running.upload("astronaut.jpg", (SAMPLES / "astronaut.jpg").read_bytes())
        running.upload("clear.png", picture("#30a0b080", (300, 200), "png"))
        recorded = open_page(browser, f"{url(running.address)}/#/recipe")
        page, box = recorded.page, recorded.page.get_by_label("thumbsmith.toml")
        save = page.get_by_role("button", name="Save to thumbsmith.toml")
        expect(page.get_by_text("Valid recipe with 3 variants.")).to_be_visible()
        expect(page.get_by_text("The server uses this recipe.")).to_be_visible()
        box.fill("[variants.small]\nwidht = 100")
        expect(page.locator("#recipe-message")).to_contain_text("width")
        assert box.get_attribute("aria-invalid") == "true"
        expect(save).to_be_disabled()
        text = "# tall\n[variants.tall]\nwidth = 40\nheight = 90\nfit = 'cover'\nformats = ['png']\n"
        box.fill(text)
        page.get_by_label("Image", exact=True).select_option("astronaut.jpg")
        expect(page.get_by_text("tall · 40 × 90 · png")).to_be_visible(timeout=20_000)
        size = page.locator("#preview-picture").evaluate("image => [image.naturalWidth, image.naturalHeight]")
        assert size == [40, 90]
        expect(page.locator("#plan")).to_contain_text("2 images of 2 would be updated", timeout=20_000)
        expect(page.locator("#plan")).to_contain_text("12 files would be deleted")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert Path(download.value.path()).read_text() == text
        save.click()
        question = page.get_by_role("alertdialog")
        expect(question).to_contain_text("Save this recipe and use it now? 2 images of 2 would be updated")
        question.get_by_role("button", name="Cancel").click()
        assert not (running.folder / "thumbsmith.toml").exists()
        save.click()
        question.get_by_role("button", name="Save").click()
        expect(page.get_by_text("The server uses it now, and updates the thumbnails.")).to_be_visible()
        expect(page.get_by_text("The server uses this recipe.")).to_be_visible()
        assert (running.folder / "thumbsmith.toml").read_text() == text
        page.get_by_role("link", name="Images").click()
        page.get_by_role("link", name="astronaut.jpg").click()
        expect(page.locator("#detail").get_by_role("table")).to_contain_text("tall.png", timeout=30_000)
        assert recorded.messages == []


def test_images_are_deleted_after_a_question(site: RunningServer, recorded: RecordedPage):
    """One image or several selected ones are deleted if the answer is Delete, and only then."""
    for number in range(4):
        site.upload(f"deleted/{number}.png", picture(size=(300, 200), kind="png"))
    page = recorded.page
    page.reload()
    _open(page, "deleted/3.png").get_by_role("button", name="Delete").click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("Delete “deleted/3.png” and its thumbnails? This cannot be undone.")
    question.get_by_role("button", name="Cancel").click()
    assert (site.sources / "deleted/3.png").exists()
    page.get_by_role("button", name="Delete deleted/3.png").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.locator("#detail")).to_be_hidden()
    page.get_by_label("Select deleted/0.png").check(force=True)
    page.get_by_label("Select deleted/2.png").click(modifiers=["Shift"], force=True)
    selection = page.get_by_role("region", name="Selection")
    expect(selection).to_contain_text("3 images selected")
    selection.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(selection).to_be_hidden()
    expect(page.get_by_role("link", name="deleted/")).to_have_count(0)
    expect(page.get_by_text("6 images", exact=True)).to_be_visible()
    assert not (site.sources / "deleted").exists()
    assert not (site.thumbnails / "deleted").exists()


def test_the_page_works_with_the_keyboard(recorded: RecordedPage):
    """Tab reaches the skip link and the images; Enter opens an image; Escape closes it and restores the focus."""
    page = recorded.page
    expect(_card(page, "samples/astronaut.jpg")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("samples/astronaut.jpg"):
            break
    page.keyboard.press("Tab")
    expect(page.get_by_label("Select samples/astronaut.jpg")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(_card(page, "samples/astronaut.jpg")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_is_accessible(site: RunningServer, program: Browser, scheme: str, width: int):
    """axe-core finds no fault in any view, light or dark; no view is wider than the screen."""
    with program.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True) as browser:
        recorded = open_page(browser, url(site.address))
        page = recorded.page
        for view, ready in (
            ("", "#grid img.loaded"),
            ("#/image/samples%2Fcoffee.webp", "#detail table"),
            ("#/rejected", ".rejection"),
            ("#/recipe", "#preview-picture:not([hidden])"),
            ("docs", ".operation"),
        ):
            page.goto(f"{url(site.address)}/{view}")
            page.wait_for_selector(ready, timeout=20_000)
            found = faults(page)
            assert found == [], (view, json.dumps(found))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert recorded.messages == []


@pytest.mark.parametrize("width", [320, 1280])
def test_panels_and_dialogs_are_accessible(site: RunningServer, program: Browser, width: int):
    """axe-core finds no fault while images are compared, selected, uploaded or about to be deleted."""
    with program.new_context(viewport={"width": width, "height": 800}, bypass_csp=True) as browser:
        page = open_page(browser, f"{url(site.address)}/#/image/samples%2Fcoffee.webp").page
        page.get_by_role("button", name="Compare").click()
        page.get_by_text("Another size on demand").click()
        page.get_by_role("button", name="Create URL").click()
        expect(page.get_by_text("Valid until")).to_be_visible()
        assert faults(page) == []
        page.get_by_role("button", name="Close").click()
        page.locator("#files").set_input_files(
            [
                {"name": "words.txt", "mimeType": "text/plain", "buffer": b"words"},
                {"name": "accessible.png", "mimeType": "image/png", "buffer": picture(kind="png")},
            ]
        )
        expect(page.locator("#uploads-summary")).to_have_text("1 of 2 images uploaded, 1 failed", timeout=30_000)
        page.get_by_label("Select samples/coffee.webp").press("Space")
        expect(page.get_by_role("region", name="Selection")).to_be_visible()
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Delete").click()
        assert faults(page) == []
        page.get_by_role("alertdialog").get_by_role("button", name="Cancel").click()
        assert site.client.delete("/images/accessible.png").status_code == 204


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_the_page_of_the_demo_is_accessible(thumbsmith: Command, program: Browser, scheme: str, width: int):
    """The page of `thumbsmith demo` shows its pictures without errors; axe-core finds no fault in it."""
    assert thumbsmith("demo").code == 0
    with program.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True) as browser:
        recorded = open_page(browser, Path("thumbsmith-demo/index.html").absolute().as_uri())
        first = recorded.page.locator("img").first
        first.evaluate("image => image.decode()")
        assert faults(recorded.page) == []
        assert recorded.page.evaluate("document.documentElement.scrollWidth") <= width
        assert recorded.messages == []


def test_the_api_is_documented_on_a_page(recorded: RecordedPage):
    """/docs shows every operation with an example, parameters and answers."""
    page = recorded.page
    page.get_by_role("link", name="API").click()
    documented = page.request.get(f"{page.url.rpartition('/')[0]}/openapi.json").json()
    count = sum(len(operations) for operations in documented["paths"].values())
    expect(page.locator(".operation")).to_have_count(count)
    operation = page.get_by_role("region", name="POST /images", exact=True)
    expect(operation).to_contain_text("-F file=@photo.jpg")
    expect(operation).to_contain_text("replace")
    expect(operation).to_contain_text("409")


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
                page.get_by_text("The token is wrong.") if given != token else _card(page, "private.png")
            ).to_be_visible()
        expect(page.locator("#grid img.loaded")).to_be_visible()
        page.close()


def test_names_are_shown_as_text(tmp_path: Path, browser: BrowserContext):
    """Markup in a name is not interpreted."""
    name = '<img src=x onerror="document.title=1">&amp;.png'
    with run_server(tmp_path) as site:
        site.upload(name, picture(size=(90, 90), kind="png"))
        recorded = open_page(browser, url(site.address))
        _card(recorded.page, name).click()
        expect(recorded.page.get_by_role("heading", name=name)).to_be_visible()
        expect(recorded.page.locator("#detail img.loaded").first).to_be_visible()
        assert recorded.messages == []
        recorded.page.close()


def test_the_page_works_below_a_prefix(tmp_path: Path, browser: BrowserContext):
    """Behind a proxy with a path prefix, the page loads its files, its images and its documentation."""
    with run_server(tmp_path, WebSettings(root_path="/media")) as site:
        site.upload("x.png", picture(size=(90, 90), kind="png"))
        recorded = open_page(browser, f"{url(site.address)}/media")
        expect(recorded.page.locator("#grid img.loaded")).to_be_visible()
        _open(recorded.page, "x.png")
        expect(recorded.page.get_by_label("HTML", exact=True)).to_contain_text("/media/renditions/x.png/")
        recorded.page.get_by_role("button", name="Close").click()
        recorded.page.get_by_role("link", name="API").click()
        expect(recorded.page.locator(".operation").first).to_be_visible()
        assert recorded.messages == []
        assert all(each.startswith(f"{url(site.address)}/media") for each in recorded.requests)
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


@pytest.mark.parametrize(("transient", "action"), [(True, "The server tries again"), (False, "Correct the cause")])
def test_a_failure_is_shown_until_it_is_corrected(browser: BrowserContext, transient: bool, action: str):
    """An image whose thumbnails cannot be written shows the reason and what to do, in the grid and alone."""
    sources, thumbnails = MemoryStore("sources"), FailingStore("thumbnails")
    thumbnails.failures.append(StoreError("No space left on device", transient=transient))
    sources.put("a.png", picture(), Headers(content_type="image/png"))
    scope = Scope(source=sources, destination=thumbnails, recipe=Recipe.loads(SITE_RECIPE))
    with run_application(scope) as address:
        page = open_page(browser, url(address)).page
        card = _card(page, "a.png")
        expect(card).to_contain_text("No space left on device.", timeout=60_000)
        expect(card).to_contain_text(action)
        card.click()
        dialog = page.locator("#detail")
        expect(dialog).to_contain_text("No space left on device.", timeout=60_000)
        expect(dialog).to_contain_text(action)
        page.keyboard.press("Escape")
        thumbnails.failures.clear()
        for _ in range(120):  # a failure is not tried again within two seconds, and then only by a new request
            if transient or card.locator("img").is_visible():
                break
            page.wait_for_timeout(500)
            page.reload()
            expect(card).not_to_contain_text("Making thumbnails", timeout=60_000)
        expect(card.locator("img")).to_be_visible(timeout=60_000)
        expect(card).not_to_contain_text("No space left")


def test_a_server_that_ended_is_shown_until_it_is_back(tmp_path: Path, browser: BrowserContext):
    """While the server does not answer, the page says so. When it does, the page continues without a reload."""
    with run_server(tmp_path) as first:
        first.upload("a.png", picture(size=(90, 90), kind="png"))
        first.upload("b.png", picture(size=(90, 90), kind="png"))
        page = open_page(browser, url(first.address)).page
        expect(_card(page, "b.png")).to_be_visible()
        port = first.address[1]
    page.get_by_label("Search in names").fill("b")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("The server does not answer.")
    expect(banner).to_contain_text("start it again")
    with run_server(tmp_path, port=port):
        expect(banner).to_be_hidden(timeout=60_000)
        expect(page.get_by_text("1 image found")).to_be_visible(timeout=60_000)
        page.close()
