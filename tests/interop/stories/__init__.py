# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stories: scripts that both implementations play; see storyteller.py."""
