from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tamannot.errors import ParameterError, ResultNotFoundError
from tamannot.report import material_of, render, summarise
from tamannot.report._blocks import DRAWINGS, Picture, Point, Points, Report, Section, Text, drawn, pictures_of

_VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """Keeps the tags of a page with their attributes, and refuses what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.data.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(_learned) -> Page:
    cohort = _learned[0].copy()
    cohort.obs["patient"] = pd.Categorical([f"p{i % 4}" for i in range(cohort.n_obs)])
    cohort.obsm["X_umap"] = np.random.default_rng(0).normal(size=(cohort.n_obs, 2))
    with mock.patch("tamannot.report._analyses._MOST_CARDS", 2), mock.patch("tamannot.report._blocks._DPI", 20):
        return Page(render(summarise(material_of(cohort, name="the cohort", sample_key="patient"))))


def test_nothing_is_fetched(page):
    for _, attrs in page.tags:
        assert str(attrs.get("src", "data:")).startswith("data:")
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
    assert [a["href"] for a in page.all("link")] == ["data:,"]
    assert not set(dict(page.tags)) & {"iframe", "object", "embed", "base", "form"}
    assert not re.search(r"@import|url\(", "".join(page.data))


def test_a_browser_is_told_to_fetch_nothing_and_run_only_our_script(page):
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy


def test_headings_and_landmarks(page):
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == names.count("main") == names.count("nav") == 1
    ids = {a["id"] for _, a in page.tags if "id" in a}
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids
    assert {a["href"] for a in page.all("a") if a["href"].startswith("#")} - {"#main"} == {
        f"#{s['id']}" for s in page.all("section")
    }
    assert next(attrs for tag, attrs in page.tags if tag == "html")["lang"] == "en"
    levels = [int(n[1]) for n in names if re.fullmatch("h[1-6]", n)]
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_pictures_have_a_text_and_tables_have_heads(page):
    pictures = [a for a in page.all("img") if "src" in a]
    assert pictures
    assert all(a["alt"] for a in pictures)
    assert all(a["scope"] == "col" for a in page.all("th"))


def test_names_of_the_user_are_text(hostile, of):
    text = render(summarise(of(hostile, sample_key="patient"), title="<script>alert(1)</script>"))
    page = Page(text)
    assert len(page.all("script")) == 1
    assert text.count("<script") == 1
    assert [a for a in page.all("img") if str(a.get("src", "data:")) == "x"] == []
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")]
    said = "".join(page.data)
    assert said.count("<script>alert(1)</script>") > 8  # gene, samples, cells, table, caution, title
    assert "{{ 7 * 7 }}" in said
    assert "日本 &amp; 🧬" in said


def test_only_links_to_the_web_are_links():
    points = tuple(
        Point("a", "b", link) for link in ("javascript:alert(1)", "https://doi.org/10.1/x", "data:text/html,x")
    )
    report = Report("t", "s", "m", (Section("one", "One", (Points(points), Text("x"), Picture("p", "alt", b"png"))),))
    links = [a["href"] for a in Page(render(report)).all("a")]
    assert links == ["#main", "#one", "https://doi.org/10.1/x"]


def test_a_report_is_small(material):
    assert len(render(summarise(material))) < 2_000_000


# Pictures.


PNG = b"\x89PNG"


def test_only_a_missing_result_is_passed_over():
    def missing():
        raise ResultNotFoundError("none")

    def wrong():
        raise ParameterError("wrong")

    assert drawn(missing) is None
    with pytest.raises(ParameterError):
        drawn(wrong)


def test_figures_are_closed_and_those_of_others_stay():
    mine = plt.figure()
    assert drawn(lambda: plt.subplots()[1])[0].startswith(PNG)
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_names_are_no_formulas():
    def draw():
        _, ax = plt.subplots()
        ax.set_title(r"$\frac{$")
        return ax

    assert drawn(draw)[0].startswith(PNG)
    assert plt.rcParams["text.parse_math"]


def test_many_samples_are_left_to_the_table(cohort, of, monkeypatch):
    monkeypatch.setattr("tamannot.report._blocks._MOST_SAMPLES", 3)
    assert "States by sample" not in [p.title for p in pictures_of(of(cohort, sample_key="patient"), "samples")]


def test_every_picture_has_a_text_for_those_who_cannot_see_it():
    assert all(d.alt.endswith(".") and d.title for d in DRAWINGS)
