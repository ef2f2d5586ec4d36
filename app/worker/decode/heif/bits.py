"""Reading numbers of any number of bits."""


class Bits:
    """Bits from the first to the last; zeros once they have ended."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)
        self._size = self._left

    def read(self, count: int) -> int:
        """The next number of that many bits."""
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1) if self._left >= 0 else 0

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.read(1))

    def bytes(self, count: int) -> bytes:
        """The next bytes, wherever they begin."""
        return self.read(8 * count).to_bytes(count)

    def skip(self, count: int) -> None:
        """Leave out that many bits."""
        self._left -= count

    def exp_golomb(self) -> int:
        """The next number of variable length: `ue(v)` of HEVC, `uvlc()` of AV1."""
        zeros = 0
        while self._left > 0 and zeros < 32 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    @property
    def bytes_read(self) -> int:
        """Bytes from the first to the one that is being read."""
        return -(-(self._size - self._left) // 8)

    @property
    def ended(self) -> bool:
        """Return True if a bit was asked for beyond the end."""
        return self._left < 0
