# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in face: event loop, events, streams, objects, types, import time."""
