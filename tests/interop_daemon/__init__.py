# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests.interop_daemon: real clients against our daemon and the real one."""
