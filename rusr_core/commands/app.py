"""`rusr app` serves a page on this machine, for one's own pictures."""

import argparse
import signal
import threading

from rusr_core.app import serve
from rusr_core.commands.options import device_of, device_option, port, prior_options
from rusr_core.commands.output import say
from rusr_core.commands.searching import loaded_prior


def app_options(parser: argparse.ArgumentParser) -> None:
    prior_options(parser)
    device_option(parser)
    parser.add_argument("--port", type=port, help="of 127.0.0.1 (default: a free one from 7860)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")


def run_app(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or until the process is asked to end. Returns 0."""
    prior = loaded_prior(args, device_of(args.device))
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        with serve(prior, port=args.port, browser=not args.no_browser) as address:
            say(f"{address} (this machine alone; Ctrl-C ends it and deletes what was handed in)")
            ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0
