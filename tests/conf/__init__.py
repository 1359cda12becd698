# SPDX-License-Identifier: LGPL-2.1-or-later
"""The typed domain XML, against recordings of the real library and against the real one itself."""
