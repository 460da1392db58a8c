"""The client's address and scheme behind trusted proxies."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

_FORWARDED_FOR = b"x-forwarded-for"
_FORWARDED_PROTO = b"x-forwarded-proto"
_CHAIN_BYTES = 512  # as much of a chain as is looked at, from its trustworthy end


class TrustedProxies:
    """Believes `X-Forwarded-For` and `X-Forwarded-Proto` from the given networks, and from nobody else."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        # Why: parsing addresses costs more than all else here, and the same few come again and again.
        self._trusts_peer = lru_cache(maxsize=1024)(self._trusts_text)
        self._client_of = lru_cache(maxsize=4096)(self._find_client)

    def apply(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Rewrite `client` and `scheme` of the scope to what the outermost trusted proxy saw."""
        client = scope["client"]
        if client is None or not self._trusts_peer(client[0]):
            return
        if _FORWARDED_FOR in headers:
            # Why: the header may be repeated, which `headers` does not show.
            chain = b",".join(value for name, value in scope["headers"] if name == _FORWARDED_FOR)
            address = self._client_of(chain[-_CHAIN_BYTES:])
            if address is not None:
                scope["client"] = (address, 0)
        proto = headers.get(_FORWARDED_PROTO)
        if proto is not None:
            scheme = proto.rsplit(b",", 1)[-1].strip().lower()
            if scheme in (b"http", b"https"):
                scope["scheme"] = scheme.decode()

    def _find_client(self, chain: bytes) -> str | None:
        """The rightmost address that is no proxy of ours: what stands left of it, the client may have invented."""
        found = None
        for entry in reversed(chain.decode("latin-1").split(",")):
            address = _parse(entry.strip())
            if address is None:
                break
            found = str(address)
            if not self._trusts(address):
                break
        return found

    def _trusts_text(self, host: str) -> bool:
        address = _parse(host)
        return address is not None and self._trusts(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also as `1.2.3.4:567`, `[::1]:567` or IPv4 mapped into IPv6; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
