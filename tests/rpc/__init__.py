# SPDX-License-Identifier: LGPL-2.1-or-later
"""The RPC client, both implementations of it, against a peer that the test scripts."""
