"""`python -m taut.cli`, the same as `taut`."""

import sys

from taut.cli.program import main

sys.exit(main())
