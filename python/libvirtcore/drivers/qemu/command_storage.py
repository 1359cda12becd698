# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_storage.py: where the bytes of an image are → the block nodes QEMU makes of them.

Each image of a chain has a number N and two nodes: libvirt-N-storage (how it is reached) and
libvirt-N-format (what it is), sometimes libvirt-N-slice-sto between. The same nodes are used when
a disk is attached to a running guest, so everything comes as properties first (`chain_nodes`).
Called by: command_disks.py, command_machine.py, attach code. Calls: command_secrets.py.
Never: opens an image or looks for backing files; the model has the chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libvirtcore.drivers.qemu.command_line import Line, Props, get, internal, unsupported
from libvirtcore.drivers.qemu.command_secrets import secret, stored

_PORTS = {
    "nbd": "10809", "iscsi": "3260", "gluster": "24007", "ssh": "22", "http": "80",
    "https": "443", "ftp": "21", "ftps": "990", "tftp": "69",
}  # fmt: skip
_FORMATS = {"fat": "raw", "iso": "raw", "dir": "raw", "vhd": "vpc", "ploop": "parallels"}
_SAYS = {  # kind of source → what must be said for something to be there
    "file": "file", "block": "dev", "dir": "dir", "network": "protocol", "nvme": "address",
    "vhostuser": "path", "volume": "volume", "vhostvdpa": "dev",
}  # fmt: skip
_CDROMS = ("/dev/sr", "/dev/cd")
_BACKED = ("qcow", "qcow2", "qed", "vmdk", "vpc", "vdi", "cow", "vhd")
_CACHES: dict[str, tuple[bool, bool]] = {  # mode → direct, no-flush
    "none": (True, False),
    "directsync": (True, False),
    "writethrough": (False, False),
    "writeback": (False, False),
    "unsafe": (False, True),
}


@dataclass
class Image:
    """One image of a chain: a disk's source, or a backing store below it."""

    kind: str  # file, block, network, …
    source: Any
    format: str
    number: int
    top: bool
    readonly: bool
    metadata_cache: int | None = None
    below: Image | None = None
    ends: bool = False  # the document says that nothing is below
    floppy: bool = False
    cdrom: bool = False
    driver: Any = None  # the disk's <driver>
    cache: str | None = None
    objects: list[tuple[str, str, Props]] = field(default_factory=list)

    @property
    def storage_node(self) -> str:
        return f"libvirt-{self.number}-storage"

    @property
    def format_node(self) -> str:
        return f"libvirt-{self.number}-format"


def chain(line: Line, disk: Any) -> Image | None:
    """The images of a disk, the top one first; None for an empty drive."""
    if not has_source(disk.type, disk.source):
        return None
    driver = disk.driver
    image = Image(
        kind=disk.type, source=disk.source, format=get(driver, "type") or "raw",
        number=line.nodes[id(disk)], top=True,
        readonly=bool(disk.readonly) or disk.device == "cdrom",
        metadata_cache=get(driver, "metadata_cache", "max_size"),
        floppy=disk.device == "floppy", cdrom=disk.device == "cdrom", driver=driver,
        cache=cache_mode(disk),
    )  # fmt: skip
    store, upper = disk.backing_store, image
    while store is not None:
        if store.type is None or store.source is None:
            upper.ends = True
            break
        upper.below = Image(
            kind=store.type, source=store.source, format=get(store, "format", "type") or "raw",
            number=line.nodes[id(store)], top=False, readonly=True,
            metadata_cache=get(store, "format", "metadata_cache", "max_size"), driver=driver,
            cache=image.cache,
        )  # fmt: skip
        upper, store = upper.below, store.backing_store
    return image


def cache_mode(disk: Any) -> str | None:
    """How a disk is cached: as it says; not at all when others write to it as well."""
    mode = get(disk, "driver", "cache")
    if mode in (None, "default"):
        return "none" if disk.shareable and not disk.readonly else None
    return str(mode)


def has_source(kind: str, source: Any) -> bool:
    """Whether something is in the drive."""
    if source is None:
        return False
    return bool(get(source, _SAYS.get(kind, "file")))


def number_nodes(line: Line) -> None:
    """Give every image its number: as the model says, else from the last disk to the first."""
    taken = 0
    fresh: list[tuple[Any, Any]] = []
    for disk in reversed(line.dom.devices.disks):
        store, owner, place = disk.source, disk, disk
        while True:
            index = get(store, "index")
            if index:
                line.nodes[id(place)] = index
                taken = max(taken, index)
            else:
                fresh.append((place, store))
            store = owner.backing_store
            if store is None or store.type is None:
                break
            owner = place = store
    for place, store in fresh:
        taken += 1
        line.nodes[id(place)] = taken
        if store is not None and not line.ctx.native:
            store.index = taken


# --- nodes ----------------------------------------------------------------------------------------


def chain_nodes(line: Line, image: Image) -> list[Props]:
    """The nodes of an image and of all below it, in the order QEMU must learn of them.

    Objects (secrets, TLS credentials) they need are put on the line first.
    """
    nodes = chain_nodes(line, image.below) if image.below is not None else []
    return nodes + image_nodes(line, image)


def image_nodes(line: Line, image: Image) -> list[Props]:
    """The nodes of one image."""
    nodes = [_storage(line, image)]
    lower = image.storage_node
    slices = get(image.source, "slices", "slices") or ()
    driver = _FORMATS.get(image.format, image.format)
    encryption = get(image.source, "encryption")
    raw = driver == "raw" and encryption is None
    if slices and not raw:
        lower = f"libvirt-{image.number}-slice-sto"
        nodes.append({
            "driver": "raw", "node-name": lower, "offset": slices[0].offset,
            "size": slices[0].size, "file": image.storage_node, "auto-read-only": True,
            "discard": "unmap",
        })  # fmt: skip
    props: Props = {"node-name": image.format_node, "read-only": image.readonly}
    discard = get(image.driver, "discard")
    if discard is not None:
        props["discard"] = discard
    zeroes = get(image.driver, "detect_zeroes")
    if zeroes is not None:
        props["detect-zeroes"] = "on" if zeroes == "unmap" and discard != "unmap" else zeroes
    props.update(_cache(image))
    if encryption is not None and encryption.format.startswith("luks") and driver == "raw":
        props.update(driver="luks", **{"key-secret": _encryption(line, image, encryption)})
    else:
        props["driver"] = driver
        if raw and slices:
            props.update(offset=slices[0].offset, size=slices[0].size)
        if driver == "qcow2":
            if encryption is not None:
                kind = "luks" if encryption.format.startswith("luks") else "aes"
                props["encrypt"] = {"format": kind,
                                    "key-secret": _encryption(line, image, encryption)}  # fmt: skip
            if image.metadata_cache:
                props["cache-size"] = image.metadata_cache
    props["file"] = lower
    if image.below is not None:
        props["backing"] = image.below.format_node
    elif image.ends and image.format in _BACKED:
        props["backing"] = None
    nodes.append(props)
    return nodes


def _cache(image: Image) -> Props:
    mode = image.cache
    if mode not in _CACHES:
        return {}
    direct, no_flush = _CACHES[mode]
    return {"cache": {"direct": direct, "no-flush": no_flush}}


def _encryption(line: Line, image: Image, encryption: Any) -> str:
    found = encryption.secrets[0] if encryption.secrets else None
    value = stored(line, "volume", get(found, "uuid") or get(found, "usage"))
    return secret(line, f"{image.format_node}-encryption-secret0", value)


def _storage(line: Line, image: Image) -> Props:
    source, kind = image.source, image.kind
    aio = get(image.driver, "io")
    if kind == "file":
        props: Props = {"driver": "file", "filename": source.file}
    elif kind == "block":
        cdrom = image.cdrom and not line.ctx.native and source.dev.startswith(_CDROMS)
        props = {"driver": "host_cdrom" if cdrom else "host_device", "filename": source.dev}
    elif kind == "dir":
        if image.format != "fat":
            raise unsupported(f"unsupported disk driver type for '{image.format}'")
        props = {"driver": "vvfat", "dir": source.dir, "floppy": image.floppy,
                 "rw": not image.readonly}  # fmt: skip
    elif kind == "network":
        props = network(line, source, image.storage_node)
    else:
        props = protocol(kind, source)
    if kind in ("file", "block"):
        if aio is not None:
            props["aio"] = aio
        helper = reservations(line, source, image)
        if helper is not None:
            props["pr-manager"] = helper
    props.update({"node-name": image.storage_node, **_cache(image), "auto-read-only": True,
                  "discard": "unmap"})  # fmt: skip
    return props


def reservations(line: Line, source: Any, image: Image) -> str | None:
    """The helper through which a LUN's persistent reservations go."""
    wanted = get(source, "reservations")
    if wanted is None:
        return None
    if wanted.managed:
        return "pr-helper0"
    name = f"pr-helper-{image.storage_node}"
    line.object("pr-manager-helper", name, {"path": get(wanted, "source", "path")})
    return name


def protocol(kind: str, source: Any) -> Props:
    """How images that need neither secrets nor credentials are reached."""
    if kind == "nvme":
        place = source.address
        device = f"{place.domain or 0:04x}:{place.bus:02x}:{place.slot:02x}.{place.function:x}"
        return {"driver": "nvme", "device": device, "namespace": source.namespace}
    if kind == "network":
        raise internal("an image on the network needs the whole command line")
    raise unsupported(f"unsupported disk source type '{kind}'")


def network(line: Line, source: Any, node: str) -> Props:
    """How an image on the network is reached."""
    name = source.protocol
    builders = {"nbd": _nbd, "rbd": _rbd, "gluster": _gluster, "iscsi": _iscsi, "ssh": _ssh,
                "nfs": _nfs}  # fmt: skip
    if name in builders:
        return builders[name](line, source, node)
    if name in ("http", "https", "ftp", "ftps", "tftp"):
        return _curl(line, source, node)
    raise unsupported(f"'{name}' protocol is not supported with this QEMU binary")


def _server(source: Any, host: Any, *, kind: bool = True) -> Props:
    if host.transport == "unix":
        return {"type": "unix", "path": host.socket}
    port = host.port or _PORTS.get(source.protocol, "0")
    return {**({"type": "inet"} if kind else {}), "host": host.name, "port": port}


def _one_host(source: Any) -> Any:
    if len(source.hosts) != 1:
        raise internal(f"{source.protocol} accepts only one host")
    return source.hosts[0]


def _nbd(line: Line, source: Any, node: str) -> Props:
    props: Props = {"driver": "nbd", "server": _server(source, _one_host(source))}
    if source.name:
        props["export"] = source.name
    delay = get(source, "reconnect", "delay")
    if delay:
        props["reconnect-delay"] = delay
    if source.tls:
        name = f"obj{node}_tls0"
        line.object("tls-creds-x509", name, {
            "dir": line.ctx.nbd_tls_dir, "endpoint": "client", "verify-peer": True,
        })  # fmt: skip
        props["tls-creds"] = name
        if get(source, "tls_hostname"):
            props["tls-hostname"] = source.tls_hostname
    return props


def _rbd(line: Line, source: Any, node: str) -> Props:
    parts = (source.name or "").split("/")
    props: Props = {"driver": "rbd", "pool": parts[0]}
    if len(parts) == 3:
        props["namespace"] = parts[1]
    props["image"] = parts[-1]
    if get(source, "snapshot", "name"):
        props["snapshot"] = source.snapshot.name
    if get(source, "config", "file"):
        props["conf"] = source.config.file
    if source.hosts:
        props["server"] = [
            {"host": host.name, **({"port": host.port} if host.port else {"port": "6789"})}
            for host in source.hosts
        ]
    auth = source.auth
    if auth is not None:
        value = stored(line, "ceph", get(auth, "secret", "uuid") or get(auth, "secret", "usage"))
        name = secret(line, f"{node}-auth-secret0", value)
        props.update({"user": auth.username, "auth-client-required": ["cephx", "none"],
                      "key-secret": name})  # fmt: skip
    return props


def _gluster(_line: Line, source: Any, _node: str) -> Props:
    volume, _, path = (source.name or "").partition("/")
    servers = [_server(source, host) for host in source.hosts]
    return {"driver": "gluster", "volume": volume, "path": path, "server": servers, "debug": 4}


def _iscsi(line: Line, source: Any, node: str) -> Props:
    host = _one_host(source)
    target, _, lun = (source.name or "").partition("/")
    name = f"[{host.name}]" if ":" in host.name else host.name
    props: Props = {
        "driver": "iscsi", "portal": f"{name}:{host.port or _PORTS['iscsi']}", "target": target,
        "lun": int(lun or 0), "transport": "tcp",
    }  # fmt: skip
    auth = source.auth
    if auth is not None:
        value = stored(line, "iscsi", get(auth, "secret", "uuid") or get(auth, "secret", "usage"))
        props["user"] = auth.username
        props["password-secret"] = secret(line, f"{node}-auth-secret0", value)
    initiator = get(source, "initiator", "iqn", "name")
    if initiator:
        props["initiator-name"] = initiator
    return props


def _ssh(_line: Line, source: Any, _node: str) -> Props:
    props: Props = {"driver": "ssh", "path": source.name,
                    "server": _server(source, _one_host(source), kind=False)}  # fmt: skip
    user = get(source, "identity", "username")
    return props if user is None else {**props, "user": user}


def _nfs(_line: Line, source: Any, _node: str) -> Props:
    host = _one_host(source)
    props: Props = {"driver": "nfs", "server": {"host": host.name, "type": "inet"},
                    "path": source.name}  # fmt: skip
    for name in ("user", "group"):
        value = get(source, "identity", name)
        if value is not None:
            props[name] = _number(value, name)
    return props


def _number(text: str, what: str) -> int:
    """A user or group: a number with or without plus, or a name this host knows."""
    if text.lstrip("+").isdigit():
        return int(text.lstrip("+"))
    import grp
    import pwd

    try:
        return pwd.getpwnam(text).pw_uid if what == "user" else grp.getgrnam(text).gr_gid
    except KeyError:
        raise unsupported(f"{what} '{text}' is not known here") from None


def _curl(line: Line, source: Any, node: str) -> Props:
    host = _one_host(source)
    name = f"[{host.name}]" if ":" in host.name else host.name
    url = f"{source.protocol}://{name}:{host.port or _PORTS[source.protocol]}/{source.name or ''}"
    if get(source, "query"):
        url += f"?{source.query}"
    props: Props = {"driver": source.protocol, "url": url}
    auth = source.auth
    if auth is not None:
        value = stored(line, "iscsi", get(auth, "secret", "uuid") or get(auth, "secret", "usage"))
        props["username"] = auth.username
        props["password-secret"] = secret(line, f"{node}-auth-secret0", value)
    verify = get(source, "ssl", "verify")
    if verify is not None:
        props["sslverify"] = verify
    cookies = get(source, "cookies", "cookies") or ()
    if cookies:
        text = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
        props["cookie-secret"] = secret(line, f"{node}-httpcookie-secret0", text.encode())
    seconds = get(source, "timeout", "seconds")
    if seconds:
        props["timeout"] = seconds
    ahead = get(source, "readahead", "size")
    if ahead:
        props["readahead"] = ahead
    return props
