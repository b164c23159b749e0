"""`python -m fsacd.sim`."""

import sys

from fsacd.sim.program import main

sys.exit(main())
