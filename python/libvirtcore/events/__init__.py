# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events: the loop that carries them (loop, poll) and the callbacks that take them (state)."""
