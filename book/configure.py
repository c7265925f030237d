"""Print the book's configuration for this build: `_config.yml` plus the address of the repository it is built from.

`RUSR_REPOSITORY` (https://host/owner/name) and `RUSR_BRANCH` (default main) come from the environment of whoever
builds, see .github/workflows/book.yml; without them, or on a host whose addresses the theme does not know, the book
has no repository buttons. Colab opens notebooks from GitHub only.

`RUSR_SITE` is the address at which the built book will stand, for the previews of links to it; it has no default.

It also adds what is not committed: what `book/live/pack.py` has packed for the live figures into `_build/live`, and
the words of the glossary, which `book/terms.py` has written there. It tells where the book's own extensions are.
"""

import os
import sys
from pathlib import Path

import yaml

LIVE = "_build/live"
EXTENSIONS = ("scripts_once", "author_year", "typesetting", "previews")
HOSTS = ("github", "gitlab", "bitbucket")
ROOT = Path(__file__).resolve().parent.parent


def configuration(environment: dict[str, str]) -> dict:
    """The parsed `_config.yml` with the repository's address and launch buttons where there is one."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["local_extensions"] = {name: str(ROOT / "book") for name in EXTENSIONS}
    sphinx = config["sphinx"]["config"]
    sphinx["html_static_path"].append(LIVE)  # a folder "live" lies in it, and so in _static
    sphinx["html_css_files"].append("live/live.css")
    sphinx["html_js_files"] += ["live/loader.js", "terms.js"]
    address = environment.get("RUSR_REPOSITORY", "").rstrip("/")
    if any(host in address for host in HOSTS):
        branch = environment.get("RUSR_BRANCH", "main")
        config["repository"] = {"url": address, "branch": branch, "path_to_book": ""}
        config["html"]["use_repository_button"] = True
    if environment.get("RUSR_SITE"):
        config["html"]["baseurl"] = environment["RUSR_SITE"].rstrip("/")
    if "github" in address:
        config["launch_buttons"] = {"colab_url": "https://colab.research.google.com"}
    return config


if __name__ == "__main__":
    yaml.safe_dump(configuration(dict(os.environ)), sys.stdout, sort_keys=False)
