"""The page in a real browser: that it can be used, at the width of a phone too, and asks no other host.

    pip install -e '.[app]' playwright, and Chromium at /usr/bin/chromium (Debian: apt install chromium)
    pytest tests/app/test_browser.py

Without them it is skipped.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import COMMAND, draw, environment
from film_kit import Film

from stylecli.__main__ import _run
from stylecli.files.cache import cache_dir

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 120.0  # on a machine that does much else
needs_browser = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None
    or importlib.util.find_spec("playwright") is None
    or not CHROMIUM.exists(),
    reason="needs gradio, playwright and chromium",
)


@dataclass
class Served:
    address: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command as a user runs it, with a home, a current and a temporary folder of its own."""
    home, here, temporary = (tmp_path_factory.mktemp(name) for name in ("home", "here", "temporary"))
    env = environment({"HOME": str(home), "TMPDIR": str(temporary), "STYLIZE_CACHE": str(cache_dir())})
    env |= {"PYTHONPATH": str(Path(__file__).parents[2]), "http_proxy": "http://127.0.0.1:9"}  # a dead one
    command = [*COMMAND, "app", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=here, env=env) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next(line.split()[4] for line in lines if line.startswith("the page is at "))
        yield Served(address, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert "Error" not in process.stderr.read()
    assert [*home.rglob("*"), *here.rglob("*"), *temporary.rglob("*")] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)


def opened(browser: Any, served: Served, photo: Path, hosts: set[str], **context: Any) -> Any:
    """A page with a photograph, painted once."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    page.on("request", lambda request: hosts.add(request.url.partition("://")[2].partition("/")[0]))
    page.goto(served.address)
    page.set_input_files("input[type=file] >> nth=0", photo)
    page.wait_for_selector("#after img")
    return page


def command(page: Any, part: str) -> str:
    """The command line, once it has that part."""
    page.wait_for_function(
        f"[...document.querySelectorAll('textarea')].some(t => t.value.includes('{part}'))"
    )
    texts = [one.input_value() for one in page.locator("textarea").all()]
    return next(str(text) for text in texts if part in text)


@needs_browser
def test_a_person_uses_the_page(
    served: Served, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts: set[str] = set()
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = opened(browser, served, draw(tmp_path / "lake.jpg", 160, 120), hosts, **phone)
    page.wait_for_function("document.querySelectorAll('#tiles img').length === 17")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#tiles button").nth(1).tap()
    command(page, "@woodblock")

    other = opened(browser, served, draw(tmp_path / "other.jpg", 96, 64), hosts)
    page.locator("input[type=range]").first.evaluate(
        "slider => { slider.value = 0.5; slider.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    line = "stylize image lake.jpg --style @woodblock --strength 0.5"
    assert command(page, "--strength 0.5") == line
    assert command(other, "stylize") == "stylize image other.jpg --style @night-swirls"

    page.get_by_text("Paint at full size").tap()
    with page.expect_download() as saved:
        page.click("a[download='lake.woodblock.jpg']")
    monkeypatch.chdir(tmp_path)
    assert _run(line.split()[1:]) == 0
    assert Path(saved.value.path()).read_bytes() == (tmp_path / "lake.woodblock.jpg").read_bytes()
    assert hosts == {served.address.split("/")[2]}


@needs_browser
def test_closing_the_page_stops_its_work(served: Served, browser: Any, tmp_path: Path) -> None:
    page = opened(browser, served, draw(tmp_path / "lake.jpg", 96, 64), set())
    film = Film(frames=2000, size=(160, 120)).write(tmp_path / "clip.mp4")
    page.get_by_text("A folder, or a short film").click()
    page.set_input_files("input[type=file][multiple] >> nth=0", film)
    page.get_by_text("clip", exact=False).first.wait_for()
    page.get_by_text("Paint them all").click()
    assert "stylize video clip.mp4 --style @night-swirls -o painted/" in command(page, "of 2000 frames")
    page.context.close()
    process = psutil.Process(served.process.pid)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        before = process.cpu_times().user
        time.sleep(1)
        if process.cpu_times().user - before < 0.05:
            return
    pytest.fail("it goes on")


@needs_browser
@pytest.mark.parametrize(
    ("headers", "path"),
    [({"Host": "evil.example:80"}, ""), ({"Origin": "http://evil.example"}, "gradio_api/queue/join")],
    ids=["by another name", "from another page"],
)
def test_pages_of_other_hosts_are_refused(served: Served, headers: dict[str, str], path: str) -> None:
    import httpx

    with httpx.Client(trust_env=False) as client:
        assert client.get(served.address).status_code == 200
        assert client.get(served.address + path, headers=headers).status_code == 403
