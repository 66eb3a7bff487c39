"""`python -m studio`: arguments become settings, settings become a Studio, and the page or a command uses it."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main())
