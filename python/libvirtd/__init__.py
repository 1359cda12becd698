# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd: the daemon; what libvirt's clients talk to. README.md draws the room.

Called by: the program `libvirtd`, `python -m libvirtd`. Never: imported by libvirtcore.
"""
