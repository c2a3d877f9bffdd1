"""Sets of row ids that are small enough for a catalogue of millions."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet


class IdSet(AbstractSet[int]):
    """Row ids as a bitmap, as they are dense. Iterates in ascending order."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self.update(ids)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, int):
            return False
        byte, bit = divmod(item, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & 1 << bit)

    def __iter__(self) -> Iterator[int]:
        for byte, bits in enumerate(self._bits):
            for bit in range(8):
                if bits & 1 << bit:
                    yield byte * 8 + bit

    def __len__(self) -> int:
        return int.from_bytes(self._bits).bit_count()

    def update(self, ids: Iterable[int]) -> None:
        """Add these ids."""
        for number in ids:
            byte, bit = divmod(number, 8)
            if byte >= len(self._bits):
                self._bits.extend(bytes(byte + 1 - len(self._bits)))
            self._bits[byte] |= 1 << bit
