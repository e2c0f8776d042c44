"""Building kernels with real compilers, on sources small enough to compile in a moment."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from build_kit import real_compiler, refusing, script, unusable

from stylecli.errors import UsageError
from stylecli.ops import build, cache

ABOUT = Path(__file__).parents[2] / "kernels" / "about" / "about.cpp"


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):  # type: ignore[no-untyped-def]
    """A folder of sources with one kernel in it, a compiler, and an empty cache."""
    monkeypatch.setenv("CXX", real_compiler())
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLIZE_KERNELS", raising=False)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    sources = tmp_path / "kernels"
    (sources / "about").mkdir(parents=True)
    shutil.copy(ABOUT, sources / "about")
    monkeypatch.setattr(build, "source_folder", lambda: sources)
    caplog.set_level(logging.INFO, "stylecli")
    build.forget()
    yield sources
    build.forget()
    assert list(temporary.glob("stylecli-kernels-*")) == []  # nothing left behind, ever


def rebuilt() -> build.Outcome:
    """What a new process would find."""
    build.forget()
    return build.outcome()


def test_built_once_then_loaded(kernels: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = build.outcome()
    assert first.library is not None
    assert first.about.startswith(("gcc ", "clang "))
    assert caplog.messages == ["compiling kernels for this CPU, a few seconds, once"]
    assert rebuilt().path == first.path
    assert len(caplog.messages) == 1
    assert [path.suffix for path in cache.contents()] == [".so", ".lock"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_built_once_whatever_the_umask(kernels: Path, caplog: pytest.LogCaptureFixture, umask: int) -> None:
    before = os.umask(umask)
    try:
        first = build.outcome()
        assert rebuilt().path == first.path is not None
        cache.write_private(cache.folder() / "kept.json", "1")
        assert cache.read_private(cache.folder() / "kept.json") == "1"
    finally:
        os.umask(before)
    assert len(caplog.messages) == 1


def test_key_holds_sources_headers_and_compiler(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [build.outcome().path]
    (kernels / "common.h").write_text("// nothing yet")
    paths.append(rebuilt().path)
    (kernels / "about" / "more.cpp").write_text('#include "common.h"\nextern "C" int more() { return 1; }\n')
    more = rebuilt()
    assert more.library is not None
    assert more.library.more() == 1
    paths.append(more.path)
    monkeypatch.setenv("CXX", str(script(tmp_path / "other", 'exec "$CXX" "$@"')))
    paths.append(rebuilt().path)
    assert None not in paths
    assert len(set(paths)) == 4


@pytest.mark.parametrize("flag", ["-march=native", "-fopenmp"])
def test_compiler_that_refuses_a_flag(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    monkeypatch.setenv("CXX", f"{refusing(tmp_path / 'c++', flag)} -DANYTHING")  # arguments are allowed
    outcome = build.outcome()
    assert outcome.library is not None, outcome.reason
    assert ("no OpenMP" in outcome.about) == (flag == "-fopenmp")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/bin/false", "/bin/false failed"),
        ("/no/such/compiler", "/no/such/compiler cannot be run (No such file or directory)"),
    ],
)
def test_failure_is_one_line_with_a_log(
    kernels: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    command: str,
    reason: str,
) -> None:
    monkeypatch.setenv("CXX", command)
    outcome = build.outcome()
    assert (outcome.library, outcome.reason) == (None, reason)
    assert outcome.log is not None
    assert f"$ {command} " in outcome.log.read_text()
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].endswith(f"{reason}; see {outcome.log}")


def test_log_holds_what_the_compiler_said(kernels: Path) -> None:
    (kernels / "about" / "about.cpp").write_text("this is no C++")
    outcome = build.outcome()
    assert outcome.library is None
    assert outcome.log is not None
    assert "about.cpp:1:1: error" in outcome.log.read_text()


def test_without_a_compiler(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.load() is None
    assert caplog.messages == [
        "kernels not compiled, plain torch computes instead, slower: "
        "no C++ compiler is installed (c++, g++ or clang++)"
    ]


def test_switch(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    assert build.outcome().reason == "STYLIZE_KERNELS=off"
    assert not cache.folder().exists()
    monkeypatch.setenv("STYLIZE_KERNELS", "on")
    with pytest.raises(UsageError, match="STYLIZE_KERNELS=on: choose auto"):
        build.load()
    monkeypatch.setenv("STYLIZE_KERNELS", "auto")
    assert build.load() is not None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])  # dlopen itself would crash on this


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_truncate, _flip, lambda path: path.write_bytes(b"")])
def test_damaged_library_is_rebuilt(kernels: Path, caplog: pytest.LogCaptureFixture, damage) -> None:  # type: ignore[no-untyped-def]
    path = build.outcome().path
    assert path is not None
    # A copy takes its place: what is damaged in the test must not be what this very process has loaded.
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    damage(copy)
    copy.replace(path)
    again = rebuilt()
    assert again.library is not None
    assert len(caplog.messages) == 2  # compiled twice
    assert [p.suffix for p in cache.contents()].count(".so") == 1


@pytest.mark.parametrize("kind", ["read-only", "full", "missing"])
def test_unusable_cache_is_said_once(
    kernels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    with unusable(kind, tmp_path):
        outcome = build.outcome()
        assert outcome.library is not None
        assert outcome.path is None
        assert cache.contents() == [] or kind == "full"
    assert len(caplog.messages) == 1
    assert str(cache.folder()) in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.parametrize("who", ["everybody", "another user"])
def test_library_that_others_could_have_put_there_is_not_loaded(
    kernels: Path, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    path = build.outcome().path
    assert path is not None
    if who == "everybody":
        path.parent.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(path.parent, 65534, 65534)
    else:
        pytest.skip("only root can give a folder away")
    assert rebuilt().path is None
    assert "everybody may write to it" in caplog.text or "it belongs to another user" in caplog.text


def test_lock_of_a_builder_that_hangs(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.folder().mkdir(parents=True, mode=0o700)
    lock = cache.folder() / "cpu.lock"
    code = (
        f"import fcntl, time\nfile = open({str(lock)!r}, 'ab')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(flush=True)\ntime.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            monkeypatch.setattr(cache, "LOCK_TIMEOUT_S", 0.2)
            assert build.load() is not None
        finally:
            holder.send_signal(signal.SIGKILL)


def test_clean_removes_only_ours(kernels: Path) -> None:
    assert build.load() is not None
    (cache.folder() / "part-abc").mkdir()
    (cache.folder() / "notes.txt").write_text("mine")
    (cache.folder().parent / "weights").mkdir()
    assert cache.clean() == 3
    assert [p.name for p in cache.folder().iterdir()] == ["notes.txt"]
    (cache.folder() / "notes.txt").unlink()
    assert cache.clean() == 0
    assert [p.name for p in cache.folder().parent.iterdir()] == ["weights"]


def test_needs_neither_platformdirs_nor_torch(kernels: Path) -> None:
    code = (
        "import sys\nfor name in ('platformdirs', 'av', 'torch', 'numpy'): sys.modules[name] = None\n"
        "from pathlib import Path\nfrom stylecli.ops import build\n"
        f"build.source_folder = lambda: Path({str(kernels)!r})\n"
        "print(build.outcome().about)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(("gcc ", "clang ")), done.stderr
