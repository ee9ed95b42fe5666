"""The report page in a real browser (Chromium and ChromeDriver, from the distribution's packages)."""

import json
import os
import shutil

import pytest
from pages import report_of
from rows import a_run, a_talk, many

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
    report_of(folder)
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
    """The names of the trials that the list lays out."""
    rows = "document.querySelectorAll('#trial-table tbody tr:not([hidden])')"
    return browser.execute_script(f"return [...{rows}].map(e => e.dataset.t)")


def counted(browser):
    """How many trials fit the filter, as the page says it."""
    return browser.execute_script("return document.getElementById('count').textContent")


def the_trial(browser):
    """The view of a trial, once its conversation is unpacked."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    view = browser.find_element(By.ID, "trial")
    WebDriverWait(browser, 20).until(lambda _: view.is_displayed() and "Conversation" in view.text)
    return view


@pytest.mark.slow
def test_filters_narrow_the_list(browser, page):
    """By pair and outcome, and by a word; the count says how many are left, a hundred are laid out."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    browser.get(page)
    assert (counted(browser), len(shown(browser))) == ("2000 of 2000 trials", 100)
    browser.find_element(By.CSS_SELECTOR, "#more button").click()
    assert len(shown(browser)) == 2000
    Select(browser.find_element(By.NAME, "pair")).select_by_visible_text("b")
    Select(browser.find_element(By.NAME, "outcome")).select_by_visible_text("solved")
    assert (counted(browser), len(shown(browser))) == ("200 of 2000 trials", 100)
    browser.find_element(By.NAME, "text").send_keys("t07/")
    assert shown(browser) == [f"b/t07/{n}" for n in range(1, 11)]


def test_filtering_two_thousand_trials_does_not_lag(browser, page):
    """A keystroke, with what the browser lays out after it, costs less than to lay out all trials once."""
    browser.get(page)
    seconds, all_of_them = browser.execute_script(TIMED)
    assert sorted(seconds)[len(seconds) // 2] < all_of_them, seconds


TIMED = """
const field = document.querySelector("[name=text]"), seconds = [];
for (const text of ["t", "t0", "t07", "t07/", "", "wrong", "b", "a"]) {
  field.value = text;
  const began = performance.now();
  field.dispatchEvent(new Event("input", {bubbles: true}));
  document.body.offsetHeight;
  seconds.push((performance.now() - began) / 1000);
}
const began = performance.now();
for (const row of document.querySelector("#trial-table").tBodies[0].rows) row.hidden = false;
document.body.offsetHeight;
return [seconds, (performance.now() - began) / 1000];
"""


def test_an_address_is_a_filter(browser, page):
    """A bar of outcomes leads to its trials; what is chosen can be read off the form."""
    browser.get(f"{page}#pair=b&mark=W")
    assert counted(browser) == "800 of 2000 trials"
    assert browser.execute_script("return document.querySelector('[name=pair]').value") == "b"


def test_columns_are_sorted_as_numbers_by_keyboard(browser, page):
    """A head is a button: Enter sorts up, again down; screen readers are told."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(page)
    browser.find_element(By.CSS_SELECTOR, "#groups summary").click()
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
    browser.get(f"{page}#trial=a/t00/1")
    assert "<script>document.title" in the_trial(browser).text
    assert browser.title.startswith("a/t00/1")


def test_a_trial_is_a_view_with_an_address(browser, page):
    """It takes the place of the rest; keys lead to the next of those that are chosen, and back."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{page}#pair=b&mark=S")
    browser.find_element(By.CSS_SELECTOR, "#trial-table tbody tr:not([hidden]) a").click()
    assert "return a + b" in the_trial(browser).text
    assert not browser.find_element(By.ID, "overview").is_displayed()
    assert "1 of 200 chosen" in browser.find_element(By.ID, "place").text
    assert "trial=b/t00/1" in browser.current_url
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(browser, 20).until(lambda b: b.title.startswith("b/t00/2"))
    body.send_keys(Keys.ARROW_LEFT)
    WebDriverWait(browser, 20).until(lambda b: b.title.startswith("b/t00/1"))
    body.send_keys(Keys.ESCAPE)
    WebDriverWait(browser, 20).until(lambda b: b.find_element(By.ID, "overview").is_displayed())
    assert counted(browser) == "200 of 2000 trials", "the filter is as it was"


def test_an_address_of_no_trial_says_so(browser, page):
    """A word on it, and the way back; no way to a trial before or after it."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{page}#trial=nope/x/1")
    view = browser.find_element(By.ID, "trial")
    WebDriverWait(browser, 20).until(lambda _: "There is no trial nope/x/1 on this page." in view.text)
    assert view.text.splitlines()[0] == "← all trials"
    assert "next" not in view.text


def test_the_grid_is_walked_by_arrow_keys(browser, page):
    """One stop of the tab key; Enter opens the trial of the cell."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(page)
    (cell,) = browser.find_elements(By.CSS_SELECTOR, "#grid td[tabindex='0']")
    cell.send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert "by b" in the_trial(browser).text


def test_a_difference_leads_to_the_tasks_behind_it(browser, page):
    """The panel names them, with links to the trials of both pairs."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page)
    button = browser.find_element(By.CSS_SELECTOR, "#matrix .better button")
    assert button.text == "▲ +40"
    button.click()
    panel = browser.find_element(By.ID, "difference")
    WebDriverWait(browser, 20).until(
        lambda _: "−40.0 points on the 100 tasks that both measured" in panel.text
    )
    assert len(panel.find_elements(By.TAG_NAME, "a")) == 2 * 40
    panel.find_element(By.TAG_NAME, "a").click()
    the_trial(browser)


def test_on_a_phone_a_list_stands_in_place_of_the_matrix(browser, page):
    """Both names in full; a choice leads to the tasks behind it."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        assert not browser.find_element(By.ID, "matrix").is_displayed()
        (button,) = browser.find_elements(By.CSS_SELECTOR, "#comparisons button")
        assert button.text.split() == ["a", "against", "b", "▲", "+40"]
        button.click()
        panel = browser.find_element(By.ID, "difference")
        WebDriverWait(browser, 20).until(lambda _: "on the 100 tasks" in panel.text)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_without_javascript_all_figures_can_be_read(open_browser, page):
    """The verdict, the ranking, the grid, the list; and how to read a conversation."""
    from selenium.webdriver.common.by import By

    browser = open_browser(javascript=False)
    browser.get(page)
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "a is best" in text
    assert "60.0 %" in text
    assert "harness show TRIAL" in text
    assert browser.find_element(By.CSS_SELECTOR, "#trial-table tbody tr:last-child").is_displayed()
    assert not browser.find_element(By.ID, "filter").is_displayed()


@pytest.mark.parametrize("width", [360, 390, 700, 1000, 1280, 1600])
@pytest.mark.slow
def test_no_width_cuts_anything(width, browser, page):
    """The page never scrolls sideways, nor does a table of it where there is room for one."""
    browser.get(page)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
        cut = browser.execute_script(f"return {wide}.map(e => e.ariaLabel)")
        assert width < 1000 or cut == []
        browser.execute_script("location.hash = '#trial=a/t00/1'")
        the_trial(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme, browser, page):
    """Contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3), of all text on its own background, light and dark."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for address in (page, f"{page}#trial=a/t00/1"):
        browser.get(address)
        if "#" in address:
            the_trial(browser)
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
