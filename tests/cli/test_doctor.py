"""``stylize doctor``: what it says, and that it notices what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stylecli.__main__ import _run


def test_a_sound_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_SOMETHING", "1")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    assert _run(["doctor", "--json"]) == 0
    text = capsys.readouterr().out
    said = json.loads(text)
    assert all(one["ok"] for one in said.values()), said
    assert "torch 2" in said["libraries"]["said"] and "STYLIZE_SOMETHING=1" in said["settings"]["said"]
    assert "painted on" in said["one picture"]["said"] and "hidden" not in text


def test_what_is_broken_is_named_and_the_rest_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no\nsuch luck")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("stylecli.paint.stylizer.Stylizer.from_pretrained", fails)
    assert _run(["doctor"]) == 1
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "PROBLEM" in lines["cache"] and "part of the path is a file" in lines["cache"]
    assert lines["one picture"].endswith("PROBLEM  RuntimeError: no such luck")
    assert "  ok  " in lines["python"].replace("ok       ", "  ok  ")
