# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both RPC cores, the C one and the pure Python one, must agree on every byte and every word."""
