# SPDX-License-Identifier: LGPL-2.1-or-later
"""The driver that speaks to a daemon: connection URI → transport → authentication → calls."""
