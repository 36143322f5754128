"""The report in headless Chromium: whole, quiet, one request, no sideways scrolling, contrast, dark mode."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stabbench.report.render import render
from stabbench.store.run_folder import RunFolder

pytestmark = pytest.mark.slow
SECTIONS = (
    "verdict",
    "doubts",
    "training",
    "gradients",
    "noise",
    "attacks",
    "efficiency",
    "secondary",
    "cells",
    "reproduce",
)
CONTRAST = """() => {
  const probe = document.createElement('span'); document.body.append(probe);
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const rgb = name => { probe.style.color = `var(${name})`; return numbers(getComputedStyle(probe).color); };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = light(rgb('--paper'));
  const between = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const names = ['--ink', '--muted', '--link', '--good', '--bad', '--same', '--unsure'];
  return Object.fromEntries(names.map(name => [name, between(light(rgb(name)), paper)]));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(make_run: Callable[..., RunFolder]) -> str:
    run = make_run()
    render(run, run.path / "report.html")
    return f"file://{run.path / 'report.html'}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_whole_quiet_and_fits(browser: Any, address: str, scheme: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    page.goto(address)

    assert messages == []
    assert requests == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for section in SECTIONS:
        box = page.locator(f"#{section}").bounding_box()
        assert box is not None, section
        assert box["height"] > 30, section
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, address: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)

    ratios = page.evaluate(CONTRAST)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert min(ratios.values()) >= 4.5, ratios
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()


def test_details_open_with_the_keyboard(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    summary = page.locator("#secondary summary")

    summary.focus()
    page.keyboard.press("Enter")

    assert page.locator("#secondary details").get_attribute("open") is not None
    page.close()
