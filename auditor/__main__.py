"""`python -m auditor` and the `auditor` command."""

from __future__ import annotations

import atexit
import gc
import os
import sys


def main() -> None:
    """Run the command line; `--version` alone is answered without loading anything."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from auditor import __version__  # noqa: PLC0415 - this is the fast path

        sys.stdout.write(f"auditor {__version__}\n")
        return
    prepare(sys.argv[1:])
    from auditor.cli import run  # noqa: PLC0415 - as above

    sys.exit(run())


def prepare(arguments: list[str]) -> None:
    """Make the interpreter ready for a command line, before anything of it is loaded."""
    # Pydantic looks through every installed distribution for plugins of its own unless it is told not to.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # An audit keeps nearly all that it makes: looking for cycles as often as by default costs it a third of its time.
    # A check ends soon; what runs on and on looks more often.
    gc.set_threshold(2_000_000 if arguments[:1] == ["check"] else 200_000, 50, 100)
    # At the end the interpreter would look through all of it for cycles once more, which is a tenth of a check.
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
