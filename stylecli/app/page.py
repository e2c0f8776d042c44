"""The page itself, in Gradio: what is on it, and what happens when something is touched."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from stylecli.app.choice import COLOURS, STYLES_OWN, How
from stylecli.app.session import Session
from stylecli.app.studio import Studio
from stylecli.app.work import told
from stylecli.errors import StylizeError
from stylecli.run.events import Advanced, Done, Event, Failed, Started
from stylecli.run.ready import SIGN

_LOCAL = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
THEME = gr.themes.Default(font=list(_LOCAL[0]), font_mono=list(_LOCAL[1]), primary_hue="orange")
CSS = """
.gradio-container { max-width: 1200px !important; margin: auto; overflow: clip !important; }
#tiles .grid-wrap { max-height: none !important; }
#tiles .grid-container { grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)) !important; }
#tiles .caption-label { font-size: 12px; padding: 2px 6px; max-width: 100%; }
#after { position: sticky; top: 0; z-index: 100; align-self: flex-start; background: var(--body-background-fill); }
@media (max-width: 760px) { #after img { max-height: 36vh !important; } }
"""
_TOLD_S = 0.25  # between lines about a film
_LINES = 12  # of a queue's news that are on the page


class _Page:
    """Components by name, and what they do."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def build(self) -> gr.Blocks:
        with gr.Blocks(title="stylize", analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
            self.photo = gr.File(label="Photograph: drop it here, or tap", height=120)
            with gr.Row(visible=False) as self.workplace:
                with gr.Column(elem_id="after", scale=5, min_width=320):
                    self.compare = gr.ImageSlider(label="Before and after", interactive=False, max_height=640)
                with gr.Column(scale=4, min_width=320):
                    self._styles()
                    self._sliders()
                    self._mask()
                    self._results()
            self._queue()
            self._connect(blocks)
        return blocks

    def _styles(self) -> None:
        self.tiles = gr.Gallery(
            show_label=False,
            elem_id="tiles",
            columns=4,
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
        )
        with gr.Row():
            self.phrase = gr.Textbox(
                label="or say it",
                placeholder="Paul Gauguin style",
                submit_btn=True,
                max_length=500,
                min_width=200,
            )
            self.picture = gr.UploadButton("or bring a picture of it", size="md", min_width=160)

    def _sliders(self) -> None:
        self.strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
        self.stroke_size = gr.Slider(0.25, 4, 1, step=0.05, label="Stroke size")
        self.colours = gr.Radio(list(COLOURS), value=STYLES_OWN, label="Colours")

    def _mask(self) -> None:
        with gr.Accordion("Paint only a part", open=False):
            self.editor = gr.ImageEditor(
                label="Brush over it",
                type="numpy",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(colors=["#ff7a00b0"], color_mode="fixed"),
                buttons=[],
            )
            self.invert = gr.Checkbox(label="Paint all but what is brushed")
            self.feather = gr.Slider(0, 200, 0, step=1, label="Soft edge, in pixels of the photograph")
            self.mask = gr.File(label="The mask, for the command line", visible=False, interactive=False)

    def _results(self) -> None:
        self.command = gr.Textbox(
            label="The same on the command line", lines=2, buttons=["copy"], interactive=False
        )
        with gr.Row():
            self.save = gr.Button("Paint at full size", variant="primary", scale=3, min_width=200)
            self.stop = gr.Button("Stop", scale=1, min_width=80)
        self.news = gr.Markdown()
        self.result = gr.File(label="Painted", visible=False, interactive=False)

    def _queue(self) -> None:
        with gr.Accordion("A folder, or a short film", open=False):
            gr.Markdown("Painted in the style, strength and stroke size that are chosen above.")
            with gr.Row():
                self.files = gr.File(
                    label="Photographs and films", file_count="multiple", height=140, min_width=240
                )
                self.folder = gr.File(label="or a folder", file_count="directory", height=140, min_width=240)
            with gr.Row():
                self.start = gr.Button("Paint them all", variant="primary", scale=3, min_width=200)
                self.halt = gr.Button("Stop", scale=1, min_width=80)
            self.progress = gr.Textbox(label="Progress", lines=6, interactive=False, autoscroll=True)
            self.painted = gr.File(label="Painted", visible=False, interactive=False)

    # What happens.

    def _connect(self, blocks: gr.Blocks) -> None:
        how = [self.strength, self.stroke_size, self.colours, self.invert, self.feather]
        shown = [self.compare, self.command]
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        quick = {**hidden, "concurrency_limit": None}

        def then_painted(event: Any) -> Any:
            return event.success(self._draft, how, shown, **quick).success(
                self._settled, how, self.compare, **quick
            )

        opened = self.photo.upload(
            self._open, self.photo, [self.workplace, self.editor, self.mask, self.result, self.news], **quick
        )
        then_painted(opened)
        opened.success(self._tiles, None, self.tiles, **quick)
        then_painted(self.tiles.select(self._ready, None, None, **quick))
        then_painted(self.phrase.submit(self._phrase, self.phrase, None, **quick))
        then_painted(self.picture.upload(self._picture, self.picture, None, **quick))
        self.editor.change(self._brush, self.editor, self.mask, trigger_mode="always_last", **quick)
        moved = gr.on(
            [
                self.strength.input,
                self.stroke_size.input,
                self.colours.input,
                self.invert.input,
                self.feather.input,
                self.mask.change,
            ],
            self._draft,
            how,
            shown,
            trigger_mode="always_last",
            **quick,
        )
        moved.success(self._settled, how, self.compare, **quick)
        long = {**hidden, "concurrency_limit": 1}
        self.save.click(self._save, how, [self.news, self.result], **long)
        self.start.click(self._start, [self.files, self.folder, *how], [self.progress, self.painted], **long)
        for button in (self.stop, self.halt):
            button.click(self._stop, None, None, queue=False, **hidden)
        blocks.unload(self._leave)

    def _session(self, request: gr.Request) -> Session:
        return self.studio.session(str(request.session_hash))

    def _open(self, upload: str, request: gr.Request) -> tuple[Any, ...]:
        session = self._session(request)
        with _told():
            session.open(Path(upload))
        assert session.photo is not None
        hidden = gr.update(value=None, visible=False)
        return gr.update(visible=True), session.photo.largest, hidden, hidden, ""

    def _draft(
        self,
        strength: float,
        stroke_size: float,
        colours: str,
        invert: bool,
        feather: float,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        session, how = self._session(request), How(strength, stroke_size, colours, invert, feather)
        with _told():
            before, after = session.draft(how)
            label = f"Before, and after {session.chosen.name}"
            return gr.update(value=(str(before), str(after)), label=label), session.command(how)

    def _settled(
        self,
        strength: float,
        stroke_size: float,
        colours: str,
        invert: bool,
        feather: float,
        request: gr.Request,
    ) -> Any:
        how = How(strength, stroke_size, colours, invert, feather)
        with _told():
            found = self._session(request).settled(how)
        return gr.skip() if found is None else tuple(map(str, found))

    def _tiles(self, request: gr.Request) -> Iterator[Any]:
        shown: list[tuple[str, str]] = []
        with _told():
            for name, path in self._session(request).tiles():
                shown.append((str(path), name.removeprefix(SIGN)))
                yield shown

    def _ready(self, request: gr.Request, event: gr.SelectData) -> None:
        with _told():
            self._session(request).choose_ready(f"{SIGN}{event.value['caption']}")

    def _phrase(self, text: str, request: gr.Request) -> None:
        with _told():
            self._session(request).choose_phrase(text)

    def _picture(self, upload: str, request: gr.Request) -> None:
        with _told():
            self._session(request).choose_picture(Path(upload))

    def _brush(self, drawn: dict[str, Any] | None, request: gr.Request) -> Any:
        session = self._session(request)
        session.brush((drawn or {}).get("layers") or [])
        mask = session.mask
        return gr.update(value=mask and str(mask), visible=mask is not None)

    def _save(
        self,
        strength: float,
        stroke_size: float,
        colours: str,
        invert: bool,
        feather: float,
        request: gr.Request,
    ) -> Iterator[tuple[Any, Any]]:
        how = How(strength, stroke_size, colours, invert, feather)
        yield "loading …", gr.update(value=None, visible=False)
        with _told():
            for news, result in _news(self._session(request).save(how)):
                yield news[-1], gr.skip() if result is None else gr.update(value=str(result), visible=True)

    def _start(
        self,
        files: list[str] | None,
        folder: list[str] | None,
        strength: float,
        stroke_size: float,
        colours: str,
        invert: bool,
        feather: float,
        request: gr.Request,
    ) -> Iterator[tuple[Any, Any]]:
        how = How(strength, stroke_size, colours, invert, feather)
        uploads = [Path(one) for one in (*(files or ()), *(folder or ()))]
        with _told():
            commands, count, work = self._session(request).queue(uploads, how)
            yield "\n".join(commands), gr.update(value=None, visible=False)
            for news, result in _news(work, count):
                text = "\n".join([*commands, *news[-_LINES:]])
                yield text, gr.skip() if result is None else gr.update(value=str(result), visible=True)

    def _stop(self, request: gr.Request) -> None:
        self._session(request).stop()

    def _leave(self, request: gr.Request) -> None:
        self.studio.leave(str(request.session_hash))


def page(studio: Studio) -> gr.Blocks:
    """The page for all visitors; each has a session of ``studio``."""
    return _Page(studio).build()


def _news(work: Iterable[Event | Path], total: int = 1) -> Iterator[tuple[list[str], Path | None]]:
    """What has happened so far, in lines, the last one about what is being done; and the result once it is there."""
    lines: list[str] = []
    now, result, done, said = "", None, 0, 0.0
    for event in work:
        if isinstance(event, Path):
            result = event
        elif isinstance(event, Started):
            now = told(event)
        elif isinstance(event, Advanced):
            now = told(event)
            if time.monotonic() - said < _TOLD_S:
                continue
            said = time.monotonic()
        else:
            done += isinstance(event, Done | Failed)
            lines.append(f"{done} of {total}: {told(event)}" if total > 1 else told(event))
            now = ""
        yield [*lines, now] if now else lines, result
    if result is None:
        yield [*lines, "stopped" if done < total else "nothing was painted"], None


@contextmanager
def _told() -> Iterator[None]:
    """What a person can do something about is shown on the page; anything else is a bug, and said to be one."""
    try:
        yield
    except StylizeError as error:
        raise gr.Error(str(error), print_exception=False) from error
