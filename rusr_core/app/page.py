"""The page of `rusr app` in Gradio: hand in files, see what was found, correct it, paint, search, compare, save."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from rusr_core.app import views
from rusr_core.app.desk import Desk, Picture, known_of, searched, task_of
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
RESIZED = (
    "It has another size or shape than this prior's inputs: its middle is resized, which hides what happened before."
)


class Page:
    """The listeners of one page; every tab has its own desk, by the key of its session."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.desks: dict[str, Desk] = defaultdict(Desk)

    def take(self, files: list[str] | None, request: gr.Request) -> tuple:
        """Files were handed in -> the choice among them, and a line for each that is no picture."""
        desk = self.desks[request.session_hash]
        known = {picture.path for picture in desk.pictures.values()}
        paths = [path for path in map(Path, files or []) if path not in known]
        complaints = desk.take(paths, self.prior)
        names = list(desk.pictures)
        ready = f"{len(names)} picture{'s' if len(names) != 1 else ''} at hand."
        return gr.Dropdown(names, value=names[-1] if names else None), "\n".join([ready, *complaints])

    def choose(self, name: str | None, request: gr.Request) -> tuple:
        """One of them was chosen -> what was found, its damage in words, and the input to paint on."""
        picture = self.desks[request.session_hash].pictures.get(name)
        if picture is None:
            return "", "", None
        note = f"<p>{RESIZED}</p>" if picture.fitted else ""
        return views.findings(picture) + note, picture.notation, self.canvas(picture, picture.notation)

    def correct(self, name: str | None, notation: str, request: gr.Request) -> tuple:
        """The damage was named otherwise -> the input of that size, or why it cannot be."""
        picture = self.desks[request.session_hash].pictures.get(name)
        if picture is None:
            return None, "Hand in a picture first."
        try:
            return self.canvas(picture, notation), "Ready."
        except RusrError as error:
            return gr.skip(), str(error)

    def canvas(self, picture: Picture, notation: str) -> dict[str, object]:
        """What the brush paints on, its value (see `canvas.js`): the input."""
        y, _ = task_of(picture, notation, None, self.prior, 0)
        return {"picture": data_url(y), "width": y.shape[-1], "height": y.shape[-2], "painted": ""}

    def one(self, name, notation, drawn, preset, steps, seed, samples, request: gr.Request) -> Iterator[tuple]:
        """Restore the chosen picture: what is to be seen, and a line that says how far it is."""
        desk = self.desks[request.session_hash]
        if name not in desk.pictures:
            yield "", "Hand in a picture first."
            return
        options = {"preset": f"{preset}@{int(steps)}", "seed": int(seed), "samples": int(samples)}
        yield from self.restored(desk, name, notation, drawn, options)

    def all(self, preset, steps, seed, samples, request: gr.Request) -> Iterator[tuple]:
        """Restore every picture with the damage that was found, one after another; one that fails costs no other."""
        desk, done = self.desks[request.session_hash], ""
        options = {"preset": f"{preset}@{int(steps)}", "seed": int(seed), "samples": int(samples)}
        words = "Hand in a picture first."
        for name, picture in list(desk.pictures.items()):
            view = ""
            for view, words in self.restored(desk, name, picture.notation, None, options):
                yield done + view, words
            done += f"<h3>{views.escape(name)}</h3>{view or views.escape(words)}"
            if desk.stop.is_set():
                break
        yield done, words

    def restored(
        self, desk: Desk, name: str, notation: str, drawn: dict[str, object] | None, options: dict[str, object]
    ) -> Iterator[tuple[str, str]]:
        """A picture's search: what is to be seen, and a line, again and again until its outcome."""
        if desk.stop.is_set():
            yield "", f"{name}: stopped before its turn came"
            return
        picture, phases, seed = desk.pictures[name], {}, options["seed"]
        try:
            y, _ = task_of(picture, notation, None, self.prior, seed)
            y, f = task_of(picture, notation, known_of(drawn, y.shape[-2:]), self.prior, seed)
            yield "", f"{name}: searching for {f} …"
            for shown in searched(self.prior, y, f, **options, stop=desk.stop):
                if isinstance(shown, Search):
                    yield self.outcome(picture, y, f, shown)
                    return
                yield views.progress(y, shown, list(phases.items())), f"{name}: {shown.phase}, step {shown.step + 1} …"
                phases[shown.phase] = shown.image
        except RusrError as error:
            yield "", f"{name}: {error}"

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
            more={"interrupted": True} if result.interrupted else {},
        )
        how = "stopped by you" if result.interrupted else "done"
        notes = [misfit.warning, *result.diverged, *result.info.get("warnings", [])]
        words = f"{picture.name}: {how} after {result.steps[0]} steps, {result.seconds:.1f} s"
        return views.outcome(picture.name, y, result, record), "\n".join([words, *filter(None, notes)])

    def queue(self, request: gr.Request) -> str:
        """A search was asked for: it begins when no other runs, unless it is stopped before."""
        self.desks[request.session_hash].stop.clear()
        return "Waiting for its turn …"

    def halt(self, request: gr.Request) -> str:
        """Stop the search of this tab; what it has found so far is its result."""
        self.desks[request.session_hash].stop.set()
        return "Stopping …"

    def leave(self, request: gr.Request) -> None:
        """A tab was closed: its search ends, and its files are deleted."""
        desk = self.desks.pop(request.session_hash, None)
        if desk is not None:
            desk.clear()

    def close(self) -> None:
        """The page ends: all searches end, and all files are deleted."""
        for desk in list(self.desks.values()):
            desk.clear()


def page(listeners: Page) -> gr.Blocks:
    """The page that calls these listeners, not yet served."""
    with gr.Blocks(title="rusr: restore a picture", analytics_enabled=False, delete_cache=(600, 600)) as blocks:
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
        name.change(listeners.choose, name, [found, notation, drawn], **quick)
        notation.submit(listeners.correct, [name, notation], [drawn, status], **quick)
        busy = {"concurrency_id": "search", "concurrency_limit": 1, "api_visibility": "private"}
        busy |= {"show_progress": "hidden"}
        start.click(listeners.queue, None, status, **quick).then(
            listeners.one, [name, notation, drawn, *settings], [view, status], **busy
        )
        every.click(listeners.queue, None, status, **quick).then(listeners.all, settings, [view, status], **busy)
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
        seed = gr.Number(0, precision=0, minimum=0, label="Seed")
        samples = gr.Slider(1, 6, value=1, step=1, label="Answers", elem_id="samples")
    return [preset, steps, seed, samples]
