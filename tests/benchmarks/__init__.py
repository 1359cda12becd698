# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the benchmarks: that they run, not what they measure."""
