"""`python -m gateway` is the same as `gateway`."""

import sys

from gateway.cli.main import main

sys.exit(main())
