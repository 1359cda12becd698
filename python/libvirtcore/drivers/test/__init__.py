# SPDX-License-Identifier: LGPL-2.1-or-later
"""drivers.test: `test:///default`, a hypervisor that lives in this process and runs nothing."""
