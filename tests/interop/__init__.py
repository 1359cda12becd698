# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interop suite: our client and python3-libvirt side by side against Debian's real libvirtd."""
