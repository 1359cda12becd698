# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt-python's own tests and examples, fetched at test time and run against our modules."""
