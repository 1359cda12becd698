# SPDX-License-Identifier: LGPL-2.1-or-later
"""The QEMU driver: qemu:///system and qemu:///session in the daemon, qemu:///embed anywhere.

Called by: the driver registry. Calls: conf, qmp, drivers.base.
"""
