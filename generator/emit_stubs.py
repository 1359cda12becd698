# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_stubs.py: nothing yet."""
from generator.model import Model
def emit(model: Model) -> dict[str, str]:
    return {}
