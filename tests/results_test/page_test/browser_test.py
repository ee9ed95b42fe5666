"""The report page in a real browser (Chromium and ChromeDriver, from the distribution's packages)."""

import json
import os
import shutil

import pytest
from rows import a_run, a_talk, many

from harness.results import aggregate
from harness.results.dataframe import read
from harness.results.pricing import Prices
from harness.results.report import write_report
from harness.results.tables import tables_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and ChromeDriver are not installed"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.filterwarnings("default"),  # the browser's driver warns of its own sockets
]
QUIET = (
    *("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,900"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of the page of a run of 2,000 trials of two pairs."""
    rows = [*many("a", 60, 100, 10), *many("b", 20, 100, 10)]
    folder = a_run(tmp_path_factory.mktemp("browser") / "r", rows)
    (folder / "transcripts/a/t00/1.json").write_text(
        json.dumps(a_talk("<script>document.title = 'hacked'</script>"))
    )
    trials = aggregate.add_costs(read(folder / "trials.jsonl"), Prices())
    write_report(folder, trials, tables_of(trials))
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def open_browser(tmp_path_factory):
    """Opens browsers that end with the module; ``javascript=False`` for one that runs no script."""
    from selenium import webdriver

    browsers = []

    def opened(*, javascript=True, dark=False):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in QUIET:
            options.add_argument(word)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        if dark:
            options.add_argument("--force-dark-mode")
        options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
        if not javascript:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2}
            )
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        browsers.append(browser)
        return browser

    yield opened
    for browser in browsers:
        browser.quit()


@pytest.fixture(scope="module")
def browser(open_browser):
    """A browser for all tests that leave the page as they found it."""
    return open_browser()


def shown(browser):
    """The names of the trials that the list shows."""
    rows = "document.querySelectorAll('#trial-table tbody tr:not([hidden]) th')"
    return browser.execute_script(f"return [...{rows}].map(e => e.textContent)")


def test_filters_narrow_the_list(browser, page):
    """By pair and outcome, and by a word; the count says how many are left."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    browser.get(page)
    assert len(shown(browser)) == 2000
    Select(browser.find_element(By.NAME, "pair")).select_by_visible_text("b")
    Select(browser.find_element(By.NAME, "outcome")).select_by_visible_text("solved")
    assert len(shown(browser)) == 200
    browser.find_element(By.NAME, "text").send_keys("t07/")
    assert shown(browser) == [f"b/t07/{n}" for n in range(1, 11)]
    assert browser.find_element(By.ID, "count").text == "10 of 2000 trials"


def test_columns_are_sorted_as_numbers_by_keyboard(browser, page):
    """A head is a button: Enter sorts up, again down; screen readers are told."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(page)
    head = browser.find_element(By.CSS_SELECTOR, "#pair-table thead th:nth-child(3)")
    button = head.find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    cells = "#pair-table tbody td:nth-child(3)"
    assert [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, cells)] == ["20.0", "60.0"]
    assert head.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, cells)] == ["60.0", "20.0"]
    assert head.get_attribute("aria-sort") == "descending"


def test_no_script_of_a_model_runs(browser, page):
    """The policy is in force, and there is nothing to run."""
    browser.get(f"{page}#trial/a/t00/1")
    assert browser.title.startswith("Run ")


@pytest.mark.parametrize("javascript", [True, False])
def test_a_link_shows_its_conversation(javascript, open_browser, page):
    """One at a time, by its address, with and without JavaScript."""
    from selenium.webdriver.common.by import By

    browser = open_browser(javascript=javascript)
    browser.get(f"{page}#trial/b/t03/2")
    (seen,) = [e for e in browser.find_elements(By.CSS_SELECTOR, "section.trial") if e.is_displayed()]
    assert "b/t03/2" in seen.text
    assert "return a + b" in seen.text
    assert browser.find_element(By.ID, "filter").is_displayed() == javascript


def test_it_fits_a_phone(browser, page):
    """Wide tables scroll by themselves; the page does not."""
    browser.get(page)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 380
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme, browser, page):
    """Contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), of all text on its own background, light and dark."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(f"{page}#trial/a/t00/1")
    worst = browser.execute_script(CONTRAST)
    assert worst["ratio"] >= 4.5, worst


CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function rgba(color) { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data]; }
function linear(v) { return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }
function light(color) { const [r, g, b] = rgba(color).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; }
function ground(element) { for (let e = element; e; e = e.parentElement) {
  const color = getComputedStyle(e).backgroundColor;
  if (rgba(color)[3] === 255) return color; } return "white"; }
let worst = {ratio: 99};
const seen = new Set();
for (const element of document.querySelectorAll("body *:not(svg *)")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
  const [ink, paper] = [getComputedStyle(element).color, ground(element)];
  if (seen.has(ink + paper)) continue;
  seen.add(ink + paper);
  const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < worst.ratio) worst = {ratio, text: element.textContent.slice(0, 40), ink, paper};
}
return worst;
"""
