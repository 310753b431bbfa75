"""The embedding in a browser: colours, evidence of cells, counts of what is dragged over, keys, and 200,000 cells."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tamannot as tam
from tamannot.report import Report, material_of, render
from tamannot.report._embedding import overview

if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("no chromium and chromedriver here", allow_module_level=True)
pytest.importorskip("selenium.webdriver", reason="selenium is absent: pip install 'tamannot[browser]'")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tamannot.pl._style import pretty

pytestmark = pytest.mark.slow

_COLUMNS, _ROWS, _MARGIN = 20, 15, 16
_CANVAS = "document.querySelector('.live canvas')"


class Page:
    """An open report whose 300 cells stand in rows, so that each is alone at its place."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.wait("document.querySelector('.embedding').dataset.ready === 'yes'")
        self.canvas = browser.find_element(By.CSS_SELECTOR, ".live canvas")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.canvas)
        self.width, self.height = self.run(f"const c = {_CANVAS}; return [c.clientWidth, c.clientHeight]")

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(script, *values)

    def wait(self, condition: str) -> None:
        end = time.monotonic() + 60
        while not self.run(f"return {condition}"):
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        self.browser.execute_async_script(wait)

    def place(self, cell: float, row: float | None = None) -> tuple[float, float]:
        """Where a cell is drawn, or a column and row."""
        column, row = (cell % _COLUMNS, cell // _COLUMNS) if row is None else (cell, row)
        x = _MARGIN + column / (_COLUMNS - 1) * (self.width - 2 * _MARGIN)
        y = _MARGIN + (1 - row / (_ROWS - 1)) * (self.height - 2 * _MARGIN)
        return x, y

    def color(self, cell: int) -> str:
        self.settle()
        script = f"return [...{_CANVAS}.getContext('2d').getImageData(arguments[0], arguments[1], 1, 1).data]"
        red, green, blue, _ = self.run(script, *(round(v) for v in self.place(cell)))
        return f"#{red:02x}{green:02x}{blue:02x}"

    def color_by(self, name: str) -> None:
        choice = self.browser.find_element(By.CSS_SELECTOR, ".live select")
        next(o for o in choice.find_elements(By.TAG_NAME, "option") if o.text == name).click()
        self.wait(f"({_CANVAS}, document.querySelector('.live select').selectedOptions[0].text === {json.dumps(name)})")
        self.settle()

    def to(self, x: float, y: float) -> ActionChains:
        right, down = round(x - self.width / 2), round(y - self.height / 2)
        return ActionChains(self.browser, duration=50).move_to_element_with_offset(self.canvas, right, down)

    def card(self) -> dict[str, str]:
        rows = self.browser.find_elements(By.CSS_SELECTOR, ".live .card div")
        return dict(row.text.split("\n") for row in rows)

    def said(self) -> str:
        return str(self.browser.find_element(By.CSS_SELECTOR, ".live [role=status]").text)

    def chosen(self) -> dict[str, dict[str, int]]:
        tables = {}
        for table in self.browser.find_elements(By.CSS_SELECTOR, ".chosen table"):
            rows = [row.find_elements(By.TAG_NAME, "td") for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]
            name = table.find_element(By.TAG_NAME, "caption").text.rpartition(" ")[2]
            tables[name] = {name.text: int(n.text.replace(",", "")) for name, n, _ in rows}
        return tables

    def legend(self, name: str) -> Any:
        entries = self.browser.find_elements(By.CSS_SELECTOR, ".legend button")
        return next(e for e in entries if e.text.startswith(name))


@pytest.fixture
def placed(cohort) -> ad.AnnData:
    number = np.arange(cohort.n_obs)
    cohort.obsm["X_umap"] = np.column_stack([number % _COLUMNS, number // _COLUMNS]).astype(float)
    return cohort


@pytest.fixture
def path(placed, written) -> Path:
    """The head of the report, which the first test writes."""
    if not written.exists():
        head = overview(material_of(placed, name="the cohort", sample_key="patient"))
        written.write_text(render(Report("The cohort", "the cohort", "now", (head,))), encoding="utf-8")
    return written


@pytest.fixture
def page(browser, path) -> Page:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())
    return Page(browser)


def counted(adata, cells, axis) -> dict[str, int]:
    counts = adata.obs[f"tam_{axis}"].iloc[cells].value_counts()
    return {pretty(str(k)): int(v) for k, v in counts.items() if v}


def test_colours_are_those_of_the_pictures_and_change(page, placed):
    for axis in ("state", "origin"):
        page.color_by(axis)
        colors = dict(zip(placed.obs[f"tam_{axis}"].cat.categories, placed.uns[f"tam_{axis}_colors"], strict=True))
        cells = placed.obs[f"tam_{axis}"].reset_index(drop=True).drop_duplicates()
        assert len(cells) > 2
        for cell, label in cells.items():
            assert page.color(cell) == colors[label]
    page.color_by("lipid-associated")
    z = placed.obsm["tam_z"]["lipid_associated"].to_numpy()
    assert page.color(int(np.nanargmax(z))) == "#fde725"
    assert page.color(int(np.nanargmin(z))) == "#440154"
    page.color_by("probability of the state")
    assert "probability of the state" in page.browser.find_element(By.CSS_SELECTOR, ".legend").text


def test_the_evidence_of_a_cell_is_shown_where_the_mouse_is(page, placed):
    states = list(placed.obsm["tam_state_proba"])
    for cell in (0, 47, 163, 299):
        page.to(*page.place(cell)).perform()
        card, obs = page.card(), placed.obs.iloc[cell]
        assert card["cell"] == placed.obs_names[cell]
        assert card["sample"] == obs["patient"]
        for axis in ("compartment", "origin", "state"):
            label, *rest = card[axis].split(", ")
            assert label == pretty(obs[f"tam_{axis}"])
            if not np.isnan(obs[f"tam_{axis}_prob"]):
                assert float(rest[0].removeprefix("probability ")) == pytest.approx(obs[f"tam_{axis}_prob"], abs=0.008)
            if (status := pretty(obs[f"tam_{axis}_status"])) != label:
                assert rest[-1] == status
        z = placed.obsm["tam_z"][states].iloc[cell]
        name, _, value = card["strongest z, state"].rpartition(" ")
        assert name == pretty(z.idxmax())
        assert float(value.replace("−", "-")) == pytest.approx(z.max(), abs=0.11)
    page.to(*page.place(4.5, 7.5)).perform()
    assert not page.browser.find_element(By.CSS_SELECTOR, ".card").is_displayed()


def test_cells_that_are_dragged_over_are_counted(page, placed):
    page.browser.find_element(By.XPATH, "//button[text()='Select cells']").click()
    x, y = page.place(3.5, 2.5)
    far_x, far_y = page.place(11.5, 8.5)
    page.to(x, y).click_and_hold().perform()
    page.to(far_x, far_y).release().perform()
    cells = [i for i in range(300) if 3.5 < i % _COLUMNS < 11.5 and 2.5 < i // _COLUMNS < 8.5]
    assert page.chosen() == {axis: counted(placed, cells, axis) for axis in ("state", "origin")}
    assert page.said().startswith("48 cells are selected. By state: ")
    page.browser.find_element(By.XPATH, "//button[text()='Reset']").click()
    assert page.chosen() == {}


def test_the_legend_hides_what_is_not_counted_then(page, placed):
    state = placed.obs["tam_state"]
    n = int((state == "unassigned").sum())
    entry = page.legend("unassigned")
    assert entry.text.split("\n")[-1] == str(n)
    cell = int(np.flatnonzero(state == "unassigned")[0])
    drawn = page.color(cell)
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert page.said() == f"unassigned hidden. {300 - n} of 300 cells are drawn."
    assert page.color(cell) == "#ffffff" != drawn
    page.canvas.send_keys("s")
    assert page.chosen()["state"] == counted(placed, np.flatnonzero(state != "unassigned"), "state")
    page.canvas.send_keys(Keys.ESCAPE)
    entry.click()
    assert page.color(cell) == drawn


def test_it_is_used_by_keys_alone(page, placed):
    page.run("document.querySelector('.live select').focus()")
    ActionChains(page.browser).send_keys(Keys.TAB * 5).perform()
    assert page.browser.switch_to.active_element == page.canvas
    assert page.canvas.get_attribute("aria-label") == "UMAP of 300 cells"
    middle = page.card()["cell"]
    assert middle in placed.obs_names[[129, 130, 149, 150, 169, 170]]
    page.canvas.send_keys("+" * 6)
    page.wait("document.querySelector('.said').textContent.startsWith('cell ')")
    page.canvas.send_keys(Keys.ARROW_RIGHT * 12)
    moved = page.card()["cell"]
    step = placed.obs_names.get_loc(moved) - placed.obs_names.get_loc(middle)
    assert 0 < step % _COLUMNS < 5
    page.canvas.send_keys("s")
    few = int(page.said().split(" ")[0])
    assert 0 < few < 100
    page.canvas.send_keys("0", "s")
    assert page.said().startswith("300 cells are selected.")
    assert page.chosen()["state"] == counted(placed, np.arange(300), "state")


def test_dragging_moves_and_the_wheel_scrolls_the_page_until_it_is_clicked(page):
    before = page.color(150)
    assert before != "#ffffff"
    page.to(300, 200).click_and_hold().move_by_offset(9, 9).move_by_offset(9, 9).release().perform()
    assert page.color(150) == "#ffffff"
    page.browser.find_element(By.XPATH, "//button[text()='Reset']").click()
    assert page.color(150) == before
    wheel = "arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: 100, cancelable: true}))"
    assert page.run(f"{_CANVAS}.blur(); return {wheel}", page.canvas) is True
    assert page.run(f"{_CANVAS}.focus(); return {wheel}", page.canvas) is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(page, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": 400, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.wait(f"{_CANVAS}.width > 1.9 * {_CANVAS}.clientWidth")
    assert page.run("return document.documentElement.scrollWidth") == 400
    page.settle()
    corner = page.run(f"return [...{_CANVAS}.getContext('2d').getImageData(1, 1, 1, 1).data].slice(0, 3)")
    assert corner == {"light": [255, 255, 255], "dark": [13, 17, 23]}[scheme]


def test_nothing_is_asked_for_and_nothing_fails(page, path):
    for name in ("origin", "compartment", "sample", "inflammatory"):
        page.color_by(name)
    assert page.browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("data:", "blob:"))] == [path.as_uri()]


def test_without_a_script_the_picture_stays(browser, path):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.as_uri())
        picture = browser.find_element(By.CSS_SELECTOR, ".embedding img")
        assert picture.is_displayed()
        assert browser.find_elements(By.CSS_SELECTOR, ".live") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_tap_shows_a_cell(page, placed):
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        box = page.run(f"const b = {_CANVAS}.getBoundingClientRect(); return [b.left, b.top]")
        at = [place + corner for place, corner in zip(page.place(47), box, strict=True)]
        point = {"x": at[0], "y": at[1]}
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.settle()
        assert page.card()["cell"] == placed.obs_names[47]
        assert page.said().startswith(f"cell {placed.obs_names[47]}; sample ")
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_names_that_are_scripts_stay_names(browser, hostile, tmp_path):
    hostile.obsm["X_umap"] = np.random.default_rng(0).normal(size=(hostile.n_obs, 2))
    tam.write_report(hostile, tmp_path / "report.html", sample_key="patient")
    browser.get_log("browser")
    browser.get((tmp_path / "report.html").as_uri())
    page = Page(browser)
    page.canvas.send_keys("+")
    assert page.card()["cell"].startswith("<script>alert(1)</script>")
    assert browser.get_log("browser") == []


def test_200_000_cells(browser, cohort, tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, cohort.n_obs, 200_000)
    obs = cohort.obs.iloc[rows].set_axis([f"cell{i}" for i in range(rows.size)])
    z = cohort.obsm["tam_z"].iloc[rows] + rng.normal(0, 0.3, (rows.size, cohort.obsm["tam_z"].shape[1]))
    obsm = {"tam_z": z.set_axis(obs.index), "X_umap": rng.normal(size=(40, 2))[rows % 40] * 4}
    obsm["X_umap"] += rng.normal(size=(rows.size, 2))
    many = ad.AnnData(obs=obs, obsm=obsm, uns=cohort.uns)
    head = overview(material_of(many, name="many"))
    path = tmp_path / "many.html"
    path.write_text(render(Report("Many", "many", "now", (head,))), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu() -> float:
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

    browser.get(path.as_uri())
    page = Page(browser)
    loaded = page.run("return performance.getEntriesByName('embedding-drawn')[0].startTime / 1000")
    before = cpu()
    frames, seconds = browser.execute_async_script(_PAN)
    used = cpu() - before
    with capsys.disabled():
        print(  # noqa: T201 - for those who wonder how fast it is
            f"\n200,000 cells: {path.stat().st_size / 1e6:.1f} MB, drawn {loaded:.2f} s after the page was asked for, "
            f"{frames / seconds:.0f} frames a second while panning, {1000 * used / frames:.1f} ms of CPU time a frame"
        )
    assert frames > 1
    page.canvas.send_keys("0", "s")
    assert page.said().startswith("200,000 cells are selected.")
    assert page.chosen()["state"] == counted(many, np.arange(rows.size), "state")
    assert pd.Series(page.chosen()["origin"]).sum() == rows.size


_PAN = """
const done = arguments[0];
const canvas = document.querySelector(".live canvas");
const box = canvas.getBoundingClientRect();
canvas.setPointerCapture = () => {};
function send(kind, x, y) {
  const place = { clientX: box.left + x, clientY: box.top + y };
  canvas.dispatchEvent(new PointerEvent(kind, { ...place, button: 0, pointerId: 1, bubbles: true }));
}
send("pointerdown", 300, 200);
const start = performance.now();
let frames = 0;
requestAnimationFrame(function next() {
  frames++;
  send("pointermove", 300 + 100 * Math.sin(frames / 10), 200 + 60 * Math.cos(frames / 10));
  const seconds = (performance.now() - start) / 1000;
  if (seconds < 3) return requestAnimationFrame(next);
  send("pointerup", 300, 200);
  done([frames, seconds]);
});
"""
