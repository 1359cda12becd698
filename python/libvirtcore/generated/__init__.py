# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the generator writes; nothing here is edited by hand (generator/api is)."""
