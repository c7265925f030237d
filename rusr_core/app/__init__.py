"""`rusr app`: a page on one's own machine, for one's own pictures and any prior (extra `rusr[app]`, Gradio)."""

from rusr_core.app.server import AppError, serve

__all__ = ["AppError", "serve"]
