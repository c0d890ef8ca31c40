"""See `tests.fuzz.batches`; apart from it because workers can't import from a `__main__`."""

import sys

from tests.fuzz.batches import main

if __name__ == "__main__":
    sys.exit(main())
