# SPDX-License-Identifier: LGPL-2.1-or-later
"""The QMP client, both implementations of it, against scripted peers and real QEMU processes."""
