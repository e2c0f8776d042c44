"""What a person sees of a download: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from package_kit import Package, safetensors_bytes
from server_kit import Mood, Server

from stylecli.console import Console, bars
from stylecli.run.events import Done
from stylecli.weights import download, locate, progress

DATA = safetensors_bytes(seed=1, count=1_000_000)  # 2 MB


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_REPORT_S", 0.0)
    monkeypatch.setattr(bars, "DOWNLOAD_LINE_S", 0.0)


def test_lines_without_a_terminal(
    online: Package, server: Server, capsys: pytest.CaptureFixture[str], often: None
) -> None:
    online.add(server.publish("/far", DATA, Mood(cut_after=1_000_000)), data=DATA)
    with Console():
        locate("far")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("downloading far.safetensors, 2.0 MB, from localhost:")
    assert lines[-1].startswith("far.safetensors: 2.0 MB in ") and lines[-1].endswith("… as expected")
    assert any("cut the connection after 1,000,000 of 2,000,1" in line for line in lines)
    assert any(line.endswith(" of 2.0 MB") for line in lines)


def test_quiet(online: Package, server: Server, capsys: pytest.CaptureFixture[str], often: None) -> None:
    online.add(server.publish("/far", DATA), data=DATA)
    with Console(quiet=True):
        locate("far")
    locate("far")
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_takes_turns_with_that_of_pictures(
    online: Package,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    often: None,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich draws bars for terminals alone
    monkeypatch.setenv("COLUMNS", "120")
    online.add(server.publish("/far", DATA), data=DATA)
    with Console() as shown:
        shown.start_bar(1)
        locate("far")
        assert shown._bar is not None and shown._bar.live.is_started
        shown.show(Done(Path("a.jpg"), Path("a.x.jpg"), "x", 0.1, 8, 8))
        shown.stop_bar()
    err = capsys.readouterr().err
    assert "2.0/2.0 MB" in err and "MB/s" in err
    assert "1/1" in err


def test_a_failed_download_ends_its_bar(online: Package, server: Server) -> None:
    online.add(server.publish("/far", DATA, always=Mood(cut_after=1000)), data=DATA)
    seen: list[progress.Download] = []
    with progress.listening(seen.append), pytest.raises(Exception, match="cut the connection"):
        locate("far")
    assert seen[-1].ended and not any(event.ended for event in seen[:-1])
    progress.report(progress.Download("nobody listens", 0, None))
