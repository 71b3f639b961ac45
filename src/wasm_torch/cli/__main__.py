"""``python -m wasm_torch.cli``."""

import sys

from wasm_torch.cli import main

sys.exit(main())
