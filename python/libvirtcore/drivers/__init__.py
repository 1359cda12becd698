# SPDX-License-Identifier: LGPL-2.1-or-later
"""drivers: what answers a call; one folder per kind of host."""
