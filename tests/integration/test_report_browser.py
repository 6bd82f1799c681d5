"""The pages in a real browser: on a phone, at night, with the keyboard, and without scripts."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

from grinder.engine.options import RunOptions
from grinder.engine.session import Session
from grinder.evidence.compare_page import write_comparison
from grinder.evidence.comparison import Comparison

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)

pytestmark = pytest.mark.skipif(browser.installed() is None, reason="no Chromium on PATH: the pages are not looked at")

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
COLOURS = """(() => { const s = getComputedStyle(document.body); return s.color + ' on ' + s.backgroundColor })()"""
HIDDEN = """[...document.querySelectorAll('body *')].filter(n => {
    const r = n.getBoundingClientRect();
    return !n.closest('svg, thead') && r.width && (r.right > innerWidth + 1 || r.left < -1);
}).map(n => n.tagName + '.' + n.className).slice(0, 5)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a run, of one with no fill, and of both compared."""
    folder = tmp_path_factory.mktemp("pages")
    for name, seconds, warm in (("run", 30, 5), ("short", 2, 90)):
        options = RunOptions(
            out=folder / name, duration=seconds * 10**9, overrides=(f"plugins.warm_up.seconds={warm}",)
        )
        Session.open(options).run()
    compared = folder / "compare.html"
    write_comparison(Comparison(folder / "run", folder / "short"), ("run", "short " * 40), compared)
    return {"run": folder / "run" / "report.html", "short": folder / "short" / "report.html", "compare": compared}


@pytest.fixture(scope="module")
def chromium():
    """A tab of one browser for all tests here, and the event loop that it lives in."""
    with asyncio.Runner() as runner:
        opening = browser.tab(browser.installed())
        try:
            tab = runner.run(opening.__aenter__())
        except browser.NoBrowserError as error:
            pytest.skip(f"Chromium does not start here: {error}")
        yield runner, tab
        runner.run(opening.__aexit__(None, None, None))


@pytest.fixture
def looked_at(chromium):
    """Run a coroutine with the tab; nothing may complain, and nothing may be asked of any network."""
    runner, tab = chromium

    def look(visit) -> None:
        tab.complaints.clear()
        tab.requests.clear()
        runner.run(visit(tab))
        assert tab.complaints == []
        assert all(url.startswith(("file:", "about:")) for url in tab.requests), tab.requests

    return look


def test_every_page_fits_every_screen_by_day_and_by_night(pages, looked_at):
    async def visit(tab):
        for page in pages.values():
            seen = {True: set(), False: set()}
            for width, dark in ((360, False), (360, True), (768, False), (1280, True), (1280, False)):
                await tab.show(page, width, dark=dark)
                assert await tab.ask(OVERFLOW) <= 0, (page.name, width)
                assert await tab.ask(HIDDEN) == [], (page.name, width)
                seen[dark].add(await tab.ask(COLOURS))
                assert await tab.ask("document.querySelectorAll('.example[open]').length") == 0
            assert len(seen[True]) == len(seen[False]) == 1
            assert seen[True] != seen[False], "night has colours of its own"

    looked_at(visit)


def test_an_example_opens_by_click_and_by_keyboard(pages, looked_at):
    async def visit(tab):
        await tab.show(pages["run"], 1280)
        opened = "document.querySelectorAll('.example[open]').length"
        await tab.ask(
            "document.querySelector('.example summary').scrollIntoView({block: 'center', behavior: 'instant'})"
        )
        x, y = await tab.ask(
            "(() => { const r = document.querySelector('.example summary').getBoundingClientRect();"
            " return [r.left + 60, r.top + r.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await tab.mouse(kind, x, y)
        assert await tab.ask(opened) == 1
        assert "Gates, in the order" in await tab.ask("document.querySelector('.example[open] pre').innerText")
        await tab.ask("document.querySelectorAll('.example summary')[1].focus()")
        await tab.key("Enter", "\r")
        assert await tab.ask(opened) == 2
        assert await tab.ask("document.querySelector('.example[open] pre').getBoundingClientRect().height") > 50

    looked_at(visit)


def test_pictures_are_read_out_under_the_mouse_and_by_keyboard(pages, looked_at):
    async def visit(tab):
        await tab.show(pages["run"], 1280)
        outputs = "[...document.querySelectorAll('figcaption output')].map(o => o.textContent)"
        assert not any(await tab.ask(outputs))
        left, top, width = await tab.ask(
            "(() => { const p = document.querySelector('.plot');"
            " p.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = p.getBoundingClientRect(); return [r.left, r.top, r.width] })()"
        )
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        await tab.mouse("mouseMoved", left + width / 2, top + 20)
        await tab.ask(frame)
        said = await tab.ask(outputs)
        pictures = await tab.ask("document.querySelectorAll('figure[data-start]').length")
        assert sum("2024-08-09T00:00:1" in text for text in said) == pictures, "all show the same moment"

        await tab.ask("document.querySelector('.plot').focus()")
        await tab.key("ArrowLeft")
        first = (await tab.ask(outputs))[0]
        await tab.key("ArrowLeft")
        assert (await tab.ask(outputs))[0] != first
        assert await tab.ask("document.querySelector('figcaption output').getAttribute('aria-live')") == "polite"
        await tab.key("Escape")
        assert not any(await tab.ask(outputs))

    looked_at(visit)


def test_examples_are_filtered(pages, looked_at):
    async def visit(tab):
        await tab.show(pages["run"], 1280)
        shown = "[...document.querySelectorAll('.example')].filter(x => x.offsetParent).length"
        everything = await tab.ask(shown)
        await tab.ask("document.querySelector('#filter').focus()")
        await tab.call("Input.insertText", text="ethusdt sell")
        some = await tab.ask(shown)
        assert 0 < some < everything
        assert await tab.ask("document.querySelector('.filter output').textContent") == (
            f"{some} of {everything} examples"
        )
        await tab.call("Input.insertText", text=" nothing has this")
        assert await tab.ask(shown) == 0

    looked_at(visit)


def test_hashes_stand_on_the_left_and_are_selected_by_one_click(pages, looked_at):
    async def visit(tab):
        for width in (360, 1280):
            await tab.show(pages["run"], width)
            styles = await tab.ask(
                "[...document.querySelectorAll('.origin td')].map(n => getComputedStyle(n))"
                ".map(s => [s.textAlign, s.userSelect, s.justifyContent].join(' '))"
            )
            assert styles
            assert {style.replace("start", "left").split()[0] for style in styles} == {"left"}
            assert all(" all " in style for style in styles)
            assert not any("end" in style or "between" in style for style in styles)

    looked_at(visit)


def test_bands_are_read_out_wherever_they_are_pointed_at(pages, looked_at):
    async def visit(tab):
        await tab.show(pages["run"], 1280)
        left, top, width = await tab.ask(
            "(() => { const p = document.querySelector('.band').closest('.plot');"
            " p.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = p.getBoundingClientRect(); return [r.left, r.top, r.width] })()"
        )
        x, wide = await tab.ask(
            "(() => { const b = document.querySelector('.band');"
            " return ['x', 'width'].map(name => parseFloat(b.getAttribute(name)) / 100) })()"
        )
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        await tab.mouse("mouseMoved", left + width * (x + wide / 2), top + 20)
        await tab.ask(frame)
        said = await tab.ask("document.querySelector('.band').closest('figure').querySelector('output').textContent")
        assert "not sent, " in said

    looked_at(visit)


def test_it_works_without_scripts(pages, looked_at):
    async def visit(tab):
        await tab.show(pages["run"], 360, scripts=False)

        async def seen(selector: str) -> bool:
            return await tab.ask(f"document.querySelector('{selector}').checkVisibility()")

        assert not await tab.ask("document.documentElement.className"), "the script did not run"
        for useless in (".filter", ".hint", "figcaption output"):
            assert not await seen(useless), f"{useless} would do nothing"
        assert await seen(".plot .line")
        assert not await seen(".example pre")
        x, y = await tab.ask(
            "(() => { const s = document.querySelector('.example summary');"
            " s.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = s.getBoundingClientRect(); return [r.left + 30, r.top + 10] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await tab.mouse(kind, x, y)
        assert await seen(".example pre")

    looked_at(visit)


def test_what_comes_from_outside_runs_nowhere(tmp_path, looked_at):
    """A page of hostile names, in a browser that would run them."""
    evil = "<img src=x onerror=window.evil=1></script><script>window.evil=1</script>"
    (tmp_path / "settings.json").write_text('{"settings": {}}')
    decision = (
        '{"id":"EVIL","ts_ns":1700000000000000000,"outcome":"blocked","reason":"EVIL","by":"EVIL","mid":5.0,'
        '"order":{"kind":"PLACE","symbol":"EVIL","side":"EVIL","price":"5"}}\n'
    )
    (tmp_path / "decisions.jsonl").write_text(decision.replace("EVIL", evil))
    (tmp_path / "fills.jsonl").write_text("")
    from grinder.evidence.report import write_report

    write_report(tmp_path)

    async def visit(tab):
        await tab.show(tmp_path / "report.html", 360)
        assert await tab.ask("window.evil === undefined")
        assert await tab.ask("document.images.length") == 0
        assert evil in await tab.ask("document.body.textContent")
        await tab.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.evil=1>')")
        assert await tab.ask("window.evil === undefined"), "the policy stops what escaping might miss"
        assert any("Content Security Policy" in text for text in tab.complaints)
        tab.complaints.clear()

    looked_at(visit)
