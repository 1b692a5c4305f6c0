"""`python -m portal.demo`: everything on this machine, until Ctrl-C. `--reset` forgets it."""

from __future__ import annotations

import argparse
import sys

from portal.demo.place import DemoRefused
from portal.demo.run import forget_demo, run_demo
from portal.embedded.place import EmbeddedServerError
from portal.settings import SettingsError
from portal.workers.supervisor import GaveUp, Stopped


def main() -> int:
    parser = argparse.ArgumentParser(prog="portal.demo", description=__doc__)
    parser.add_argument("--reset", action="store_true", help="forget the demo: data, logins and keys")
    arguments = parser.parse_args()
    try:
        forget_demo() if arguments.reset else run_demo()
    except Stopped:
        return 0
    except (DemoRefused, EmbeddedServerError, GaveUp) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except PermissionError as error:
        sys.stderr.write(
            f"{error.filename} belongs to somebody else: run the demo as they did, or remove it.\n"
        )
        return 1
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
