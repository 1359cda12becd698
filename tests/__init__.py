# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests, one folder a room; see README.md beside this file."""
