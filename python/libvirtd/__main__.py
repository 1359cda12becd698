# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd.__main__: `python -m libvirtd`. Calls: main.py."""

from __future__ import annotations

import sys

from libvirtd.main import main

if __name__ == "__main__":
    sys.exit(main())
