"""Take the documentation's pictures (`make screenshots`): a run's page and one of its trials, in Chromium.

    python docs/screenshots.py RUN_FOLDER [PAIR/TASK/EPOCH]

Without a trial, the wrong one whose tester caught most known bugs.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

IMAGES = Path(__file__).with_name("images")
SIZE = (1280, 860)
LARGEST = 200_000  # bytes


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]).resolve()
    trial = sys.argv[2] if len(sys.argv) > 2 else telling_trial(folder)
    page = (folder / "report.html").as_uri()
    IMAGES.mkdir(exist_ok=True)
    for name, address in {"page": page, "trial": f"{page}#trial={quote(trial)}"}.items():
        picture = take(address)
        if len(picture) > LARGEST:
            sys.exit(f"{name}: {len(picture):,} bytes, more than {LARGEST:,}")
        (IMAGES / f"{name}.png").write_bytes(picture)
        print(f"{IMAGES / name}.png: {len(picture):,} bytes")  # noqa: T201


def telling_trial(folder: Path) -> str:
    """Return the trial that shows most of what a view has."""
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    wrong = [row for row in rows if row["outcome"] == "wrong"]
    wrong.sort(key=lambda row: (-(row["bugs_caught"] or 0), -(row["acceptance_fraction"] or 0)))
    return str((wrong or rows)[0]["trial"])


def take(address: str) -> bytes:
    """Return a picture of the first screen, as PNG."""
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-background-networking"):
        options.add_argument(word)
    options.add_argument("--window-size={},{}".format(*SIZE))
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get(address)
        ready = "return document.querySelector('#trial[hidden]') || document.querySelector('.steps')"
        WebDriverWait(browser, 20).until(lambda each: each.execute_script(ready))
        return bytes(browser.get_screenshot_as_png())
    finally:
        browser.quit()


main()
