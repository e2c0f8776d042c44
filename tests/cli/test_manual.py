"""The manual page has every command and option, and troff reads it without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from stylecli.__main__ import _run
from stylecli.cli.app import command
from stylecli.cli.manual import page


def test_everything_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["manual"]) == 0
    text = capsys.readouterr().out.replace("\\-", "-")
    for name, below in command().commands.items():
        assert f".SS stylize {name}" in text
        for one in below.params:
            assert all(option in text for option in one.opts if option.startswith("-")), one.opts
    assert "stylize image photo.jpg --style @woodblock" in text and ".SH EXIT STATUS" in text
    begun = {line.split()[0] for line in text.splitlines() if line[:1] in ".'"}
    assert begun <= {".TH", ".SH", ".SS", ".B", ".I", ".TP", ".PP", ".nf", ".fi", ".RS", ".RE"}


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_troff_takes_it() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"], input=page(command()).encode(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = re.sub(r"\x1b\[\d+m|.\x08", "", done.stdout.decode())
    assert "--mask FILE|DIR" in shown and "the input's colours" in " ".join(shown.split())
