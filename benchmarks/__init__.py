# SPDX-License-Identifier: LGPL-2.1-or-later
"""Benchmarks: us, the real stack and the physical limit side by side in one run; see README.md."""
