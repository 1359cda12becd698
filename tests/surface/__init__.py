# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole Python face, name by name, against libvirt-python 12.8.0."""
