# SPDX-License-Identifier: LGPL-2.1-or-later
"""classes.py: the objects of a connection, as `import libvirt` shows them.

Methods come from generated.wrappers_*; what stands here is what no description of a call can tell.
Called by: libvirt.py, generated wrappers. Never: holds state besides `_o` and the owners.
"""

from __future__ import annotations

from libvirtcore.generated.wrappers_domain import virDomain as DomainMethods
from libvirtcore.generated.wrappers_domain_checkpoint import (
    virDomainCheckpoint as DomainCheckpointMethods,
)
from libvirtcore.generated.wrappers_domain_snapshot import (
    virDomainSnapshot as DomainSnapshotMethods,
)
from libvirtcore.generated.wrappers_interface import virInterface as InterfaceMethods
from libvirtcore.generated.wrappers_network import virNetwork as NetworkMethods
from libvirtcore.generated.wrappers_network_port import virNetworkPort as NetworkPortMethods
from libvirtcore.generated.wrappers_node_device import virNodeDevice as NodeDeviceMethods
from libvirtcore.generated.wrappers_nwfilter import virNWFilter as NWFilterMethods
from libvirtcore.generated.wrappers_nwfilter_binding import (
    virNWFilterBinding as NWFilterBindingMethods,
)
from libvirtcore.generated.wrappers_secret import virSecret as SecretMethods
from libvirtcore.generated.wrappers_storage_pool import virStoragePool as StoragePoolMethods
from libvirtcore.generated.wrappers_storage_vol import virStorageVol as StorageVolMethods
from libvirtcore.objects.base import Wrapper, checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from libvirtcore.objects.connect import virConnect


class virDomain(DomainMethods, Wrapper):
    """A guest, running or only defined."""


class virNetwork(NetworkMethods, Wrapper):
    """A virtual network."""


class virNetworkPort(NetworkPortMethods, Wrapper):
    """What connects a guest's interface to a network."""

    def __init__(self, net: virNetwork, _obj: object = None) -> None:
        self._net = net
        self._conn = net.connect()
        self._o = checked(_obj)

    def network(self) -> virNetwork:
        """Return the network that this port belongs to."""
        return self._net


class virInterface(InterfaceMethods, Wrapper):
    """A network interface of the host."""


class virStoragePool(StoragePoolMethods, Wrapper):
    """A pool of storage volumes."""


class virStorageVol(StorageVolMethods, Wrapper):
    """A storage volume."""

    streamBufSize: ClassVar[int] = 262120  # what one message of a stream can carry


class virNodeDevice(NodeDeviceMethods, Wrapper):
    """A device of the host."""


class virSecret(SecretMethods, Wrapper):
    """A secret kept by the daemon."""


class virNWFilter(NWFilterMethods, Wrapper):
    """A network filter."""


class virNWFilterBinding(NWFilterBindingMethods, Wrapper):
    """A filter in use on a guest's interface."""


class _DomainChild(Wrapper):
    """An object that belongs to a domain."""

    def __init__(self, dom: virDomain, _obj: object = None) -> None:
        self._dom = dom
        self._conn = dom.connect()
        self._o = checked(_obj)

    def domain(self) -> virDomain:
        """Return the domain that this object belongs to."""
        return self._dom

    def getConnect(self) -> virConnect:
        """Return the connection that this object came from."""
        return self.connect()

    def getDomain(self) -> virDomain:
        """Return the domain that this object belongs to."""
        return self.domain()


class virDomainCheckpoint(DomainCheckpointMethods, _DomainChild):
    """A point in time from which a domain's changed blocks are known."""


class virDomainSnapshot(DomainSnapshotMethods, _DomainChild):
    """A state of a domain to return to."""


for _class in (
    virDomain,
    virNetwork,
    virNetworkPort,
    virInterface,
    virStoragePool,
    virStorageVol,
    virNodeDevice,
    virSecret,
    virNWFilter,
    virNWFilterBinding,
    virDomainCheckpoint,
    virDomainSnapshot,
):
    _class.__module__ = "libvirt"
