"""The report in a browser: no errors, no requests, tables and pictures by mouse and by keyboard."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.data import write_analysis

if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("no chromium and chromedriver here", allow_module_level=True)
pytest.importorskip("selenium.webdriver", reason="selenium is absent: pip install 'tamannot[browser]'")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow


def opened(browser, path) -> Any:
    """Open a report; what the browser logged before is forgotten."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    return browser


@pytest.fixture
def page(browser, written, cohort) -> Any:
    """The report of the cohort, which the first test writes."""
    if not written.exists():
        record = {"tests": pd.DataFrame({"q": [0.2, np.nan, 1e-9, 0.03]})}
        write_analysis(cohort, "tam", "composition", record)
        tam.write_report(cohort, written, sample_key="patient")
    return opened(browser, written)


def requested(browser) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:")]


def table(browser, title: str) -> Any:
    return browser.find_element(By.XPATH, f"//div[@class='tabled'][h3[text()='{title}']]")


def column(found, place: int) -> list[str]:
    cells = found.find_elements(By.CSS_SELECTOR, f"tbody tr:not([hidden]) td:nth-child({place})")
    return [cell.get_attribute("textContent") for cell in cells]


def heads(found) -> list[Any]:
    return found.find_elements(By.CSS_SELECTOR, "th")


def test_it_opens_without_errors_and_asks_for_nothing_else(page, written):
    assert page.get_log("browser") == []
    assert requested(page) == [written.as_uri()]
    pictures = page.find_elements(By.CSS_SELECTOR, "figure img")
    assert pictures
    assert all(page.execute_script("return arguments[0].naturalWidth", p) > 0 for p in pictures)


def test_a_click_sorts_and_a_second_one_turns(page):
    found = table(page, "States of macrophages")
    head = heads(found)[1]
    head.find_element(By.TAG_NAME, "button").click()
    up = [int(text.replace(",", "")) for text in column(found, 2)]
    assert up == sorted(up)
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element(By.TAG_NAME, "button").click()
    assert [int(text.replace(",", "")) for text in column(found, 2)] == sorted(up, reverse=True)
    heads(found)[0].find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") is None


def test_numbers_that_are_missing_stay_last(page):
    found = table(page, "Tests")
    for order in (["1.00e-09", "0.03", "0.2", "–"], ["0.2", "0.03", "1.00e-09", "–"]):
        heads(found)[0].find_element(By.TAG_NAME, "button").click()
        assert column(found, 1) == order


def test_keyboard_sorts(page):
    found = table(page, "States of macrophages")
    button = heads(found)[1].find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    assert heads(found)[1].get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert heads(found)[1].get_attribute("aria-sort") == "descending"


def test_filter_shows_the_rows_with_the_text(page):
    found = table(page, "Signatures")
    n = len(column(found, 1))
    field = found.find_element(By.CSS_SELECTOR, "input[type=search]")
    field.send_keys("HYPOXIC")
    assert column(found, 1) == ["hypoxic"]
    assert found.find_element(By.CSS_SELECTOR, "[role=status]").text == f"1 of {n} rows"
    field.send_keys(Keys.BACKSPACE * 7)
    assert len(column(found, 1)) == n


def test_enter_enlarges_a_picture_and_escape_closes_it(page):
    dialog = page.find_element(By.ID, "large")
    button = page.find_element(By.CSS_SELECTOR, "button.zoom")
    button.send_keys(Keys.ENTER)
    assert dialog.get_attribute("open") is not None
    assert dialog.find_element(By.TAG_NAME, "img").get_attribute("alt")
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert dialog.get_attribute("open") is None
    assert page.switch_to.active_element == button


def test_hostile_names_stay_text(browser, hostile, tmp_path):
    path = tmp_path / "report.html"
    tam.write_report(hostile, path, sample_key="patient", title="<script>alert(1)</script>")
    page = opened(browser, path)
    assert page.title == "<script>alert(1)</script>"
    assert page.find_element(By.TAG_NAME, "h1").text == "<script>alert(1)</script>"
    found = table(page, "State × origin by sample")
    heads(found)[0].find_element(By.TAG_NAME, "button").click()
    found.find_element(By.CSS_SELECTOR, "input").send_keys("<script>")
    assert set(column(found, 1)) == {"<script>alert(1)</script>"}
    page.find_element(By.CSS_SELECTOR, "button.zoom").click()
    assert page.get_log("browser") == []
    assert requested(page) == [path.as_uri()]


def test_a_script_that_got_in_would_not_run(page, written, tmp_path):
    path = tmp_path / "report.html"
    bad = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\"></main>"
    path.write_text(written.read_text(encoding="utf-8").replace("</main>", bad), encoding="utf-8")
    page.get(path.as_uri())
    assert page.title != "taken"
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_as_wide_as_the_screen(page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_colours_follow_the_system(page):
    def paper(scheme: str) -> str:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    assert paper("light") == "rgb(255, 255, 255)"
    assert paper("dark") == "rgb(13, 17, 23)"
    pictures = page.execute_script("return getComputedStyle(document.querySelector('.zoom')).backgroundColor")
    assert pictures == "rgb(255, 255, 255)"  # they are drawn in black
