# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the QEMU driver against a real QEMU, without KVM, through qemu:///embed."""
