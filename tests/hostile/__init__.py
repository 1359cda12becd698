# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers that lie, stall, flood, close or are not libvirt at all; see README.md beside this file."""
