# SPDX-License-Identifier: LGPL-2.1-or-later
"""__init__.py: tests of the daemon's half of every call, over real sockets."""
