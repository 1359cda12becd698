# SPDX-License-Identifier: LGPL-2.1-or-later
"""pools.py: says that there are no storage pools, so that programs use paths of files instead.

Storage pools are a driver of their own, which is not there yet. Tools such as virt-install ask
which there are, and what a path belongs to, before they take the path itself.
Called by: drivers.qemu.driver (mixin). Never: defines a pool; that stays unsupported.
"""

from __future__ import annotations

import uuid as uuidlib

from libvirtcore.drivers.qemu.guest import check_flags
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import StoragePoolHandle, StorageVolHandle

_FILTERS = 0xFFFFF  # whatever libvirt knows to ask for: state, autostart, and each kind of pool


class PoolCalls:
    """The calls that look for pools and volumes."""

    def connect_num_of_storage_pools(self) -> int:
        return 0

    def connect_list_storage_pools(self, maxnames: int) -> list[str]:
        return []

    def connect_num_of_defined_storage_pools(self) -> int:
        return 0

    def connect_list_defined_storage_pools(self, maxnames: int) -> list[str]:
        return []

    def connect_list_all_storage_pools(
        self, need_results: int, flags: int
    ) -> tuple[list[StoragePoolHandle], int]:
        check_flags("storageConnectListAllStoragePools", flags, _FILTERS)
        return [], 0

    def storage_pool_lookup_by_name(self, name: str) -> StoragePoolHandle:
        raise _no_pool(f"no storage pool with matching name '{name}'")

    def storage_pool_lookup_by_uuid(self, uuid: bytes) -> StoragePoolHandle:
        raise _no_pool(f"no storage pool with matching uuid '{uuidlib.UUID(bytes=uuid)}'")

    def storage_pool_lookup_by_target_path(self, path: str) -> StoragePoolHandle:
        raise _no_pool(f"no storage pool with matching target path '{path}'")

    def storage_vol_lookup_by_path(self, path: str) -> StorageVolHandle:
        raise _no_volume(f"no storage vol with matching path '{path}'")

    def storage_vol_lookup_by_key(self, key: str) -> StorageVolHandle:
        raise _no_volume(f"no storage vol with matching key {key}")


def _no_pool(detail: str) -> VirError:
    return report(c.VIR_ERR_NO_STORAGE_POOL, c.VIR_FROM_STORAGE, detail)


def _no_volume(detail: str) -> VirError:
    return report(c.VIR_ERR_NO_STORAGE_VOL, c.VIR_FROM_STORAGE, detail)
