"""The page of `rusr app` is served to this machine alone, and leaves nothing behind."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rusr_core.app.desk import AppError
from rusr_core.limits import MAX_PORT, check_whole
from rusr_core.prior import Prior

HOST = "127.0.0.1"
CSS = Path(__file__).with_name("page.css")
OURS = (HOST, "localhost")
QUIET = {  # Gradio reads these when it is imported: no telemetry, no look for a newer version
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
LARGEST = 200 * 2**20  # bytes of a file that is handed in


class OwnPages:
    """ASGI middleware: answers only what this machine's own page asks.

    Another name for this machine (DNS rebinding) and the pages of other hosts that ask in the reader's browser are
    refused with status 403.
    """

    def __init__(self, app: object) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: object, send: object) -> None:
        """Let the request pass, or refuse it."""
        headers = dict(scope.get("headers") or ())
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        foreign = origin not in ("", f"http://{host}") or embedded(headers)
        if scope["type"] not in ("http", "websocket") or (host.rsplit(":", 1)[0] in OURS and not foreign):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"this page answers this machine alone"})


def embedded(headers: dict[bytes, bytes]) -> bool:
    """Whether a page of another address asks, in the words of browsers (W3C, Fetch Metadata), other than by a link."""
    site, mode, into = (headers.get(b"sec-fetch-" + name, b"") for name in (b"site", b"mode", b"dest"))
    return site in (b"cross-site", b"same-site") and (mode, into) != (b"navigate", b"document")


@contextmanager
def serve(prior: Prior, *, port: int | None = None, browser: bool = False) -> Iterator[str]:
    """Serve the page while the context lasts; its address, http://127.0.0.1:PORT/.

    `port`: None takes a free one. `browser` opens the page. What is handed in lies in a folder of temporary files that
    only this user may read, and which is deleted at the end. Raises AppError.
    """
    if port is not None:
        check_whole("port", port, 1, MAX_PORT, AppError)
    with tempfile.TemporaryDirectory(prefix="rusr-app-") as folder:
        os.environ.update(QUIET | {"GRADIO_TEMP_DIR": folder})
        try:
            import gradio
            from starlette.middleware import Middleware

            from rusr_core.app.page import Page, page
        except ImportError as error:
            raise AppError(f"the page needs Gradio: pip install 'rusr[app]' ({error})") from error
        listeners = Page(prior)
        blocks = page(listeners)
        blocks.queue(default_concurrency_limit=1, api_open=False)  # one search at a time; others wait in line
        plain = gradio.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
        try:
            _, address, _ = blocks.launch(
                server_name=HOST,
                server_port=port,
                inbrowser=browser,
                share=False,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=LARGEST,
                footer_links=[],
                ssr_mode=False,
                theme=plain,
                css=CSS.read_text("utf-8"),
                app_kwargs={"middleware": [Middleware(OwnPages)]},
            )
        except OSError as error:
            raise AppError(f"port {port or 'in Gradio’s range'}: {error}") from error
        try:
            yield address
        finally:
            listeners.close()
            blocks.close(verbose=False)
