"""What must answer in a blink, and how wrong usage is reported."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "PIL", "cv2", "av", "imageio", "safetensors", "tqdm"}


def stylize_in_process(*arguments: str) -> set[str]:
    """Names of the top-level modules that ``stylize ARGUMENTS`` has loaded when it ends."""
    code = (
        f"import sys\nfrom stylecli.__main__ import _run\ncode = _run({list(arguments)!r})\n"
        "sys.stderr.write('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["image", "--help"],
        ["sheet", "--help"],
        ["demo", "--help"],
        ["app", "--help"],
        ["train", "--help"],
        ["train", "recipe", "--help"],
        ["kernels", "--help"],
        ["bench", "--help"],
        ["weights", "--help"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_on_the_way(arguments: list[str]) -> None:
    assert stylize_in_process(*arguments) & HEAVY == set()


@pytest.mark.parametrize("group", ["train", "kernels", "weights"])
def test_a_group_without_a_command_shows_its_help(stylize, group) -> None:  # type: ignore[no-untyped-def]
    done = stylize(group)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"Usage: stylize {group}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_full_disk_behind_stdout_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "stylecli", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "No space left" in done.stderr and done.stderr.count("\n") == 1
    assert "bug" not in done.stderr


def test_version_and_help_texts(stylize) -> None:  # type: ignore[no-untyped-def]
    from stylecli import __version__

    assert stylize("--version").stdout.decode().strip() == f"stylize {__version__}"
    text = stylize().stdout.decode()  # no arguments: help
    assert text == stylize("--help").stdout.decode() == stylize("-h").stdout.decode()
    for command in (
        "image",
        "text",
        "video",
        "sheet",
        "demo",
        "train",
        "kernels",
        "bench",
        "weights",
        "doctor",
        "--install-completion",
    ):
        assert command in text


def test_every_page_has_an_example_that_is_understood(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command line is parsed (not run), and each page shows those of its command."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "pictures", "styles", "artworks"):
        Path(folder).mkdir()
    for file in ("clip.mp4", "starry.jpg", "photo.jpg"):
        Path(file).touch()
    from stylecli.__main__ import _run
    from stylecli.cli.app import command
    from stylecli.cli.help import EXAMPLES

    whole = command()
    pages = {name: below for name, below in whole.commands.items() if not hasattr(below, "commands")}
    for group in ("kernels", "weights", "train", "bench"):
        pages |= {f"{group} {name}": below for name, below in whole.commands[group].commands.items()}
    for name in {*pages, *EXAMPLES}:
        assert _run([*name.split(), "--help"]) == 0
        page = capsys.readouterr().out
        assert EXAMPLES[name] and all(f"  {line}\n" in page for line in EXAMPLES[name]), page
        assert all(len(line) < 79 for line in EXAMPLES[name])
        for line in EXAMPLES[name]:
            words = shlex.split(line)
            assert words[: 1 + len(name.split())] == ["stylize", *name.split()]
            below = whole
            for word in name.split():
                below = below.commands[word]
            below.make_context(name, words[1 + len(name.split()) :])
    text = (_run(["image", "--help"]), capsys.readouterr().out)[1]
    assert text.index("Arguments:") < text.index("\nStyle:") < text.index("\nMessages:")
    assert "Options:" not in text  # all have their place
    assert "Usage: stylize image [OPTIONS] INPUT...\n" in text and "\n  INPUT...  " in text


def test_lists_of_commands_are_not_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    from stylecli.__main__ import _run

    for group in ("", "train", "bench", "kernels", "weights"):
        assert _run([*group.split(), "--help"]) == 0
        assert "..." not in capsys.readouterr().out.split("Commands:\n")[1]


def test_shell_completion_is_there(stylize) -> None:  # type: ignore[no-untyped-def]
    done = stylize(env={"_STYLIZE_COMPLETE": "complete_bash", "COMP_WORDS": "stylize im", "COMP_CWORD": "1"})
    assert done.stdout.decode().split() == ["image"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "bogus"),
        (["image"], "INPUT"),
        (["image", "a.png", "--bogus"], "--bogus"),
        (["image", "a.png"], "no style given"),
        (["image", "a.png", "--style", "missing.jpg"], "missing.jpg does not exist"),
        (["image", "a.png", "--style", "empty"], "is a folder without images"),
        (["image", "a.png", "s.png"], "did you mean 'stylize image a.png --style s.png'?"),
        (["image", "a.png", "--style", "S.png"], "did you mean s.png?"),
        (["image", "a.png", "--stile", "s.png"], "did you mean --style?"),
        (["image", "a.png", "--style", "s.png", "--device", "cpi"], "--device"),
        (["imgae", "a.png"], "Did you mean 'image'?"),
        (["a.png"], "did you mean 'stylize image a.png --style IMAGE'?"),
        (["a.png", "-s", "s.png"], "did you mean 'stylize image a.png -s s.png'?"),
        (["my clip.MP4", "-s", "s.png"], "did you mean 'stylize video 'my clip.MP4' -s s.png'?"),
        (["text", "a.png", "Paul", "Gauguin", "style"], 'stylize text a.png "Paul Gauguin style"'),
        (["video", "a.mp4", "-s", "s.png", "--codec", "h265"], "did you mean hevc?"),
        (["video", "a.mp4", "-s", "s.png", "--codec", "proress"], "did you mean prores?"),
        (["image", "a.png", "--blend", "a.png:0.5,no.png:0.5"], "no.png"),
        (["image", "a.png", "--style", "a.png", "--strength", "1.5"], "--strength"),
        (["image", "a.png", "--style", "a.png", "--strength", "nan"], "--strength"),
        (["image", "a.png", "--style", "a.png", "--strength", "much"], "--strength"),
        (["image", "a.png", "--style", "a.png", "--stroke-size", "0"], "--stroke-size"),
        (["image", "a.png", "--style", "a.png", "--quality", "101"], "--quality"),
        (["image", "a.png", "--style", "a.png", "--max-size", "0"], "--max-size"),
        (["image", "a.png", "--style", "a.png", "--device", "tpu"], "--device"),
        (["image", "a.png", "--style", "a.png", "--format", "docx"], "--format docx"),
        (["image", "a.png", "--style", "b.png", "-o", "a.png"], "is the input itself"),
        (["image", "a.png", "--style", "b.png", "-o", "b.png", "--overwrite"], "is the style image itself"),
        (["image", "a.png", "b.png", "--style", "a.png", "-o", "c.png"], "looks like a file"),
        (["image", "a.png", "a.jpg", "--style", "b.png", "--format", "png"], "a.png and a.jpg would both"),
        (["image", "-", "a.png", "--style", "b.png"], "stdin"),
        (["image", "a.png", "--style", "b.png", "-o", "-", "--json"], "--json"),
        (["train", "nothing"], "neither a file nor a recipe that ships"),
        (["train", "stylerwkv", "--data", "missing"], "--data"),
        (["train", "stylerwkv", "--set", "losses.gramm=1"], "losses.gram"),
        (["train", "average", "a.safetensors:1", "-o", "b.safetensors"], "two weights files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_exit_2(  # type: ignore[no-untyped-def]
    arguments: list[str], words: str, tmp_path: Path, capfd, monkeypatch
) -> None:
    from stylecli.__main__ import _run

    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for name in ("a.png", "a.jpg", "b.png", "s.png"):
        Path(name).write_bytes(b"not looked into before the options are right")
    before = sorted(tmp_path.iterdir())
    assert _run(arguments) == 2
    out, err = capfd.readouterr()
    assert out == "" or "--json" in arguments  # programs are told too
    assert err.startswith("stylize: ")
    assert err.count("\n") == 1
    assert words in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def broken_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def collect(*arguments: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("stylecli.run.style_specs.collect_styles", collect)


@pytest.mark.usefixtures("broken_program")
def test_a_bug_says_so_in_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylecli.__main__ import _run

    monkeypatch.delenv("STYLIZE_DEBUG", raising=False)
    assert _run(["image", "a.png", "--style", "a.png"]) == 1
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "ZeroDivisionError: oops (a bug in stylize" in err
    assert _run(["image", "a.png", "--style", "a.png", "-rv"]) == 1
    assert "Traceback" in capfd.readouterr().err
    monkeypatch.setenv("STYLIZE_DEBUG", "1")
    assert _run(["image", "a.png", "--style", "a.png"]) == 1
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("variables", "spin"),
    [({}, "2000"), ({"OMP_WAIT_POLICY": "active"}, None), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_sleep_soon_unless_told_otherwise(variables: dict[str, str], spin: str | None) -> None:
    """On a shared core a picture took 5 to 10 times as long. OpenMP reads this when torch loads it: it comes before."""
    code = (
        "import os, sys\nimport stylecli.__main__ as m\n"
        "m._run = lambda _: print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules) or 0\nm.main()"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True)
    assert done.stdout.split() == [str(spin), "False"], done.stderr


@pytest.mark.parametrize("arguments", [["--bogus"], ["--style", "none.png"], []])
def test_programs_read_why_a_command_ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from stylecli.__main__ import _run

    assert _run(["image", "missing.png", "--json", *arguments]) == 2
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["event"], one["exit_code"]) for one in told] == [("error", 2)] and told[0]["message"]


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"cpu.max": "150000 100000"}, "2"),
        ({"cpu.max": "20000 100000"}, "1"),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, "3"),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "6400000 100000"}, None),
        ({"cpu.max": ""}, None),
        ({}, None),
    ],
)
def test_no_more_threads_than_the_share_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], threads: str | None
) -> None:
    from stylecli.threads import prepare

    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    prepare(tmp_path)
    assert os.environ.get("OMP_NUM_THREADS") == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    prepare(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "5"
