"""What the page paints and prints, without a browser and without Gradio."""

from __future__ import annotations

import gc
import importlib.util
import shlex
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from film_kit import Film
from PIL import Image

from stylecli.__main__ import _run
from stylecli.app import session as rules
from stylecli.app.choice import ONLY, PHOTOGRAPHS, How, ready_names
from stylecli.app.server import _listening, is_loopback
from stylecli.app.session import Session
from stylecli.app.studio import Studio
from stylecli.app.work import told
from stylecli.errors import InputError, UsageError
from stylecli.paint.options import LoadOptions
from stylecli.run.events import Advanced, Done, Event


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(LoadOptions(device="cpu"), tmp_path_factory.mktemp("studio"))
    yield found
    found.close()
    assert not any(found.folder.iterdir())


@pytest.fixture
def session(studio: Studio, tmp_path: Path) -> Session:
    found = studio.session(tmp_path.name)
    found.open(draw(tmp_path / "lake.png", 96, 72))
    found.choose_ready("@woodblock")
    return found


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def packed(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def brushed() -> np.ndarray:
    """(h, w, 4), of another size than the photograph: its left half was brushed over."""
    layer = np.zeros((36, 48, 4), np.uint8)
    layer[:, :24] = (255, 120, 0, 255)
    return layer


@pytest.mark.parametrize(
    ("how", "style", "said"),
    [
        (How(), "@woodblock", "--style @woodblock"),
        (
            How(0.6, 2.0, PHOTOGRAPHS),
            "own.jpg",
            "--style own.jpg --strength 0.6 --stroke-size 2 --preserve-color",
        ),
        (How(colours=ONLY), "@neon", "--style @neon --colour-only"),
        (
            How(invert=True, feather=4.0),
            "mask",
            "--style @woodblock --mask mask.png --invert-mask --feather 4",
        ),
        (How(), "Paul Gauguin style", "--prompt 'Paul Gauguin style'"),
    ],
    ids=["ready", "own", "colours", "mask", "phrase"],
)
def test_what_is_printed_gives_what_is_saved(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: How, style: str, said: str
) -> None:
    if style == "mask":
        session.brush([brushed()])
        assert session.mask is not None
        shutil.copy(session.mask, tmp_path)
    elif style == "own.jpg":
        session.choose_picture(draw(tmp_path / "own.jpg", seed=3))
    elif style.startswith("@"):
        session.choose_ready(style)
    else:
        session.choose_phrase(style)
    *events, result = session.save(how)
    assert isinstance(result, Path) and any(isinstance(event, Done) for event in events)

    line = session.command(how)
    assert line == f"stylize image lake.png {said} --device cpu"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LoadOptions, "load", lambda loading: session.studio.stylizer)  # once is enough
    assert _run(shlex.split(line)[1:]) == 0
    assert (tmp_path / result.name).read_bytes() == result.read_bytes()


def test_outside_of_the_mask_the_photograph_stays(session: Session, tmp_path: Path) -> None:
    photo = np.asarray(Image.open(tmp_path / "lake.png"))
    session.brush([brushed()])
    *_, result = session.save(How())
    assert isinstance(result, Path)
    painted = np.asarray(Image.open(result))
    assert (painted[:, 50:] == photo[:, 50:]).all() and (painted[:, :46] != photo[:, :46]).any()
    shown = np.asarray(Image.open(session.draft(How())[1])).astype(int)
    assert abs(shown[:, 56:] - photo[:, 56:]).max() < 32 < abs(shown[:, :40] - photo[:, :40]).max()  # a JPEG
    session.brush([np.zeros((36, 48, 4), np.uint8)])
    assert session.mask is None and "--mask" not in session.command(How())


def test_only_the_last_preview_is_painted_large(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "DRAFT", 64)
    monkeypatch.setattr(rules, "SETTLED_S", 0.05)
    assert [max(size_of(path)) for path in session.draft(How())] == [64, 64]
    settled = session.settled(How())
    assert settled is not None and size_of(settled[1]) == (96, 72)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(session.settled(How())))
    monkeypatch.setattr(rules, "SETTLED_S", 0.5)
    waiting.start()
    session.draft(How(0.5))
    waiting.join()
    assert found == [None]


def test_one_visitor_does_not_disturb_another(studio: Studio, session: Session, tmp_path: Path) -> None:
    other = studio.session("another")
    other.open(draw(tmp_path / "lake.png", 80, 60, seed=5))  # of the same name
    other.choose_ready("@neon")
    tiles = session.tiles()
    name, path = next(tiles)
    assert name == ready_names()[0] and max(size_of(path)) == 96
    studio.leave("another", after=0.0)
    assert next(tiles)[0] == ready_names()[1]
    assert session.command(How()).startswith("stylize image lake.png --style @woodblock")
    session.stop()
    assert not [*tiles]


def test_who_comes_back_finds_the_pictures(studio: Studio, session: Session, tmp_path: Path) -> None:
    studio.leave(tmp_path.name, after=60.0)
    assert studio.session(tmp_path.name) is session
    studio.leave(tmp_path.name, after=0.01)
    for _ in range(200):
        if not session.folder.exists():
            break
        threading.Event().wait(0.02)
    assert not session.folder.exists() and studio.session(tmp_path.name) is not session


def test_a_queue_of_photographs_and_a_film(session: Session, tmp_path: Path) -> None:
    one, two = draw(tmp_path / "a" / "lake.jpg"), draw(tmp_path / "b" / "lake.jpg", seed=2)
    film = Film(frames=6).write(tmp_path / "clip.mp4")
    session.brush([brushed()])  # of one photograph alone
    lines, count, work = session.queue([one, two, film, tmp_path / "notes.txt"], How(0.8))
    assert count == 3
    assert lines == [
        f"stylize {what} --style @woodblock --strength 0.8 -o painted/ --device cpu"
        for what in ("image lake.jpg lake-2.jpg", "video clip.mp4")
    ]
    *events, archive = work
    names = ["lake.woodblock.jpg", "lake-2.woodblock.jpg", "clip.woodblock.mp4"]
    assert isinstance(archive, Path) and packed(archive) == names
    assert any(isinstance(event, Advanced) and "6 frames" in told(event) for event in events)


# What an interrupted film was being written to is closed when it is collected, as after two Ctrl-C.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_work_that_nobody_wants_ends(session: Session, studio: Studio, tmp_path: Path) -> None:
    film = Film(frames=120).write(tmp_path / "clip.mp4")
    *_, work = session.queue([film], How())
    seen: list[Event | Path] = [next(work)]
    session.stop()
    seen += work
    assert not any(isinstance(one, Done | Path) for one in seen)
    *_, work = session.queue([film], How())
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "job"]
    del work
    gc.collect()


def test_bounds_and_bad_input_are_one_line(session: Session, studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"^no\.jpg: "):
        session.open(tmp_path / "no.jpg")
    assert session.photo is not None and session.photo.path.name == "lake.png"
    with pytest.raises(UsageError, match=r"no\.jpg"):
        session.choose_picture(tmp_path / "no.jpg")
    assert session.chosen.name == "@woodblock"
    with pytest.raises(UsageError, match="500 at most"):
        session.queue([], How())
    with pytest.raises(UsageError, match="500 at most"):
        session.queue([tmp_path / "lake.png"] * 501, How())
    with pytest.raises(UsageError, match="no photograph yet"):
        studio.session("new").draft(How())


def test_without_gradio_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name))
    assert _run(["app"]) == 2
    assert capsys.readouterr().err == "stylize: stylize app needs Gradio: pip install 'stylecli[app]'\n"


def test_an_address_that_cannot_be_had_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as found:
            _listening("127.0.0.1", port)
    assert str(found.value) == (
        f"127.0.0.1:{port} cannot be had: Address already in use; --port names another one"
    )
    assert all(map(is_loopback, ("127.0.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.2", "my.host")))
