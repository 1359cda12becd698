# SPDX-License-Identifier: LGPL-2.1-or-later
"""api: the layer every public call passes; libvirtmod is its door."""
