"""The page of `rusr app` in Gradio: hand in files, see what was found, correct it, paint, search, compare, save."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr

from rusr_core.app import views
from rusr_core.app.desk import AppError, Desk, Picture, known_of, searched, task_of
from rusr_core.errors import RusrError
from rusr_core.figures.interactive import data_url
from rusr_core.figures.painting import plain_script
from rusr_core.photos.records import misfits, record_of
from rusr_core.presets import PRESETS
from rusr_core.prior import Prior
from rusr_core.restore import Search

CANVAS = Path(__file__).with_name("canvas.js")
INTRODUCTION = """# Restore a picture

Hand in a picture, look at what was found of its damage, correct it, paint over what is hidden, and press *Restore*.
Nothing leaves this machine, and nothing of your picture stays on its disk. **A restoration is an invention that agrees
with the input**: never use it to identify a person."""
NOTATION = "What happened to it, in order: downsample:4 | noise:24,0.16 | jpeg:12; identity is no damage"
LEFT = 86400  # seconds until Gradio deletes a file that no tab took away with it
RESIZED = (
    "It has another size or shape than this prior's inputs: its middle is resized, which hides what happened before."
)


class Page:
    """The listeners of one page; every tab has its own desk, by the key of its session."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.desks: dict[str, Desk] = defaultdict(Desk)

    def take(self, files: list[str] | None, request: gr.Request) -> tuple:
        """Files were handed in, or taken back -> the choice among them, and a line for each that is no picture."""
        desk, paths = self.desks[request.session_hash], list(map(Path, files or []))
        before, known = list(desk.files), set(desk.pictures)
        complaints = desk.take(paths, self.prior)
        if desk.closed:
            self.delete(paths)
        self.delete(before)
        names = list(desk.pictures)
        new = [name for name in names if name not in known]
        chosen = new[-1] if new else desk.shown if desk.shown in names else names[-1] if names else None
        ready = f"{len(names)} picture{'s' if len(names) != 1 else ''} at hand."
        return gr.Dropdown(names, value=chosen), "\n".join([ready, *complaints])

    def delete(self, paths: list[Path]) -> None:
        """Delete those of the files that lie on no desk: Gradio keeps one file for all tabs that hand in the same."""
        held = [list(desk.files) for desk in list(self.desks.values()) if not desk.closed]
        for path in {*paths}.difference(*held):
            path.unlink(missing_ok=True)

    def choose(self, name: str | None, drawn: dict[str, object] | None, request: gr.Request) -> tuple:
        """One of them was chosen -> what was found, its damage in words, and the input to paint on.

        What is `drawn` on the one before stays with that one.
        """
        desk = self.desks[request.session_hash]
        if drawn and desk.shown in desk.pictures and desk.shown != name:
            desk.painted[desk.shown] = drawn
        desk.shown, picture = name or "", desk.pictures.get(name)
        if picture is None:
            return "", "", None
        note = f"<p>{RESIZED}</p>" if picture.fitted else ""
        canvas = self.canvas(picture, picture.notation)
        before = desk.painted.get(name, canvas)
        if before["picture"] == canvas["picture"]:
            canvas = before
        return views.findings(picture) + note, picture.notation, canvas

    def correct(self, name: str | None, notation: str, request: gr.Request) -> tuple:
        """The damage was named otherwise -> the input of that size, or why it cannot be. The picture keeps it."""
        pictures = self.desks[request.session_hash].pictures
        picture = pictures.get(name)
        if picture is None:
            return None, "Hand in a picture first."
        try:
            canvas = self.canvas(picture, notation)
        except RusrError as error:
            return gr.skip(), line_of(error, picture)
        pictures[name] = replace(picture, notation=notation)
        return canvas, "Ready."

    def canvas(self, picture: Picture, notation: str) -> dict[str, object]:
        """What the brush paints on, its value (see `canvas.js`): the input."""
        y, _ = task_of(picture, notation, None, self.prior, 0)
        return {"picture": data_url(y), "width": y.shape[-1], "height": y.shape[-2], "painted": ""}

    def one(self, number, name, notation, drawn, preset, steps, seed, samples, request: gr.Request) -> Iterator[tuple]:
        """Restore the chosen picture: what is to be seen, and a line that says how far it is."""
        desk = self.desks[request.session_hash]
        with desk.begun(int(number)) as wanted:
            if not wanted:
                yield gr.skip(), gr.skip()
            elif name not in desk.pictures:
                yield "", "Hand in a picture first."
            else:
                picture = replace(desk.pictures[name], notation=notation)
                yield from self.restored(desk, name, picture, drawn, (preset, steps, seed, samples))

    def all(self, number, name, notation, drawn, preset, steps, seed, samples, request: gr.Request) -> Iterator[tuple]:
        """Restore every picture, one after another; one that fails costs no other.

        Each is searched with the damage that was found or corrected and with what was painted on it, and the one that
        is shown with what the fields hold now.
        """
        desk, done, words = self.desks[request.session_hash], "", "Hand in a picture first."
        with desk.begun(int(number)) as wanted:
            if not wanted:
                yield gr.skip(), gr.skip()
                return
            asked = {each: (picture, desk.painted.get(each)) for each, picture in desk.pictures.items()}
            if name in asked:
                asked[name] = replace(desk.pictures[name], notation=notation), drawn
            for each, task in asked.items():
                view = ""
                for view, words in self.restored(desk, each, *task, (preset, steps, seed, samples)):
                    yield done + view, words
                done += f"<h3>{views.escape(each)}</h3>{view or views.escape(words)}"
                if desk.stop.is_set():
                    break
            yield done, words

    def restored(
        self, desk: Desk, name: str, picture: Picture, drawn: dict[str, object] | None, settings: tuple
    ) -> Iterator[tuple[str, str]]:
        """A picture's search: what is to be seen, and a line, again and again until its outcome."""
        notation, phases = picture.notation, {}
        try:
            options = options_of(*settings)
            seed = options["seed"]
            y, _ = task_of(picture, notation, None, self.prior, seed)
            y, f = task_of(picture, notation, known_of(drawn, y.shape[-2:]), self.prior, seed)
            yield "", f"{name}: searching for {f} …"
            for news in searched(self.prior, y, f, **options, stop=desk.stop):
                if isinstance(news, Search):
                    yield self.outcome(picture, y, f, news)
                    return
                yield views.progress(y, news, list(phases.items())), f"{name}: {news.phase}, step {news.step + 1} …"
                phases[news.phase] = news.image
        except (RusrError, OSError, MemoryError, RuntimeError) as error:  # torch's lack of memory is a RuntimeError
            yield "", f"{name}: {line_of(error, picture)}"

    def outcome(self, picture: Picture, y, f, result: Search) -> tuple[str, str]:
        """What a search found, with its record, and the line that says how well."""
        (misfit,) = misfits(self.prior, result.image[:1].cpu(), y, f, result.seed)
        record = record_of(
            picture.path,
            f,
            self.prior,
            method=result.method,
            seed=result.seed,
            steps=result.steps,
            seconds=result.seconds,
            found=[misfit],
            unmarked="",
            answers=getattr(result, "samples", 1),
            more={"interrupted": True} if result.interrupted else {},
        )
        how = "stopped by you" if result.interrupted else "done"
        notes = [misfit.warning, *result.diverged, *result.info.get("warnings", [])]
        words = f"{picture.name}: {how} after {result.steps[0]} steps, {result.seconds:.1f} s"
        return views.outcome(picture.name, y, result, record), "\n".join([words, *filter(None, notes)])

    def queue(self, request: gr.Request) -> tuple[int, str]:
        """A search was asked for: it begins when no other runs, unless it is withdrawn before."""
        return self.desks[request.session_hash].ask(), "Waiting for its turn …"

    def halt(self, request: gr.Request) -> str:
        """Stop the search of this tab, what it has found so far is its result; and withdraw what waits."""
        return "Stopping …" if self.desks[request.session_hash].halt() else "No search of this page runs or waits now."

    def leave(self, request: gr.Request) -> None:
        """A tab was closed: its search ends, and its files are deleted, those that are just looked at as well."""
        self.delete(self.desks[request.session_hash].leave())

    def close(self) -> None:
        """The page ends: all searches end, and all files are deleted."""
        for desk in list(self.desks.values()):
            self.delete(desk.leave())


def options_of(preset: str, steps: float | None, seed: float | None, samples: float | None) -> dict[str, object]:
    """The page's settings as `searched` takes them. AppError for an empty field."""
    for name, value in {"steps a phase": steps, "seed": seed, "answers": samples}.items():
        if value is None:
            raise AppError(f"{name} must be a whole number, got an empty field")
    return {"preset": f"{preset}@{int(steps)}", "seed": int(seed), "samples": int(samples)}


def line_of(error: Exception, picture: Picture) -> str:
    """An error in one line, without the folder of temporary files."""
    words = str(error).replace(str(picture.path), picture.path.name).partition("\n")[0]
    return words or type(error).__name__


def page(listeners: Page) -> gr.Blocks:
    """The page that calls these listeners, not yet served."""
    with gr.Blocks(title="rusr: restore a picture", analytics_enabled=False, delete_cache=(3600, LEFT)) as blocks:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column():
                files = gr.File(label="Your pictures", file_count="multiple", type="filepath", elem_id="files")
                name = gr.Dropdown([], label="Which of them", elem_id="name")
                notation = gr.Textbox("", label="Its damage", info=NOTATION, elem_id="notation", submit_btn="Use")
                with gr.Accordion("What was found in the file", open=False):
                    found = gr.HTML(elem_id="found")
                drawn = _canvas()
            with gr.Column():
                settings = _settings()
                with gr.Row():
                    start = gr.Button("Restore", variant="primary", elem_id="start")
                    every = gr.Button("Restore all files", elem_id="all")
                    stop = gr.Button("Stop", elem_id="stop")
                status = gr.Textbox("Hand in a picture.", label="Status", interactive=False, elem_id="status", lines=2)
                view = gr.HTML(elem_id="view")
        quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        files.change(lambda: "Looking at what was handed in …", None, status, **quick).then(
            listeners.take, files, [name, status], **quick
        )
        name.change(listeners.choose, [name, drawn], [found, notation, drawn], **quick)
        notation.submit(listeners.correct, [name, notation], [drawn, status], **quick)
        busy = {"concurrency_id": "search", "concurrency_limit": 1, "api_visibility": "private"}
        busy |= {"show_progress": "hidden"}
        number = gr.Number(0, visible=False)
        for button, search in ((start, listeners.one), (every, listeners.all)):
            button.click(listeners.queue, None, [number, status], **quick).then(
                search, [number, name, notation, drawn, *settings], [view, status], **busy
            )
        stop.click(listeners.halt, None, status, **quick)
        blocks.unload(listeners.leave)
    return blocks


def _canvas() -> gr.HTML:
    """The brush: what is painted over is hidden from the search."""
    script = f"{plain_script()}\n{CANVAS.read_text('utf-8')}"
    return gr.HTML(
        {},
        html_template='<div class="rusr-paint"></div>',
        js_on_load=f"((place) => {{\n{script}}})(element.querySelector('.rusr-paint'));",
        elem_id="canvas",
    )


def _settings() -> list[object]:
    """Preset, steps a phase, seed, answers, in the order of the listeners' arguments."""
    with gr.Row():
        preset = gr.Dropdown(list(PRESETS), value="default", label="Preset")
        steps = gr.Slider(1, 150, value=60, step=1, label="Steps a phase", elem_id="steps")
    with gr.Row():
        seed = gr.Number(0, precision=0, label="Seed", elem_id="seed")
        samples = gr.Slider(1, 6, value=1, step=1, label="Answers", elem_id="samples")
    return [preset, steps, seed, samples]
