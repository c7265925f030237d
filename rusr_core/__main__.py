"""`python -m rusr_core` is `rusr`."""

import sys

from rusr_core.commands import main

if __name__ == "__main__":
    sys.exit(main())
