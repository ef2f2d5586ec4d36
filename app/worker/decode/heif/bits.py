"""Bit reader."""


class Bits:
    """Bits of a string of bytes; zeros after its end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)
        self._size = self._left

    def read(self, count: int) -> int:
        """Read a number of that many bits."""
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1) if self._left >= 0 else 0

    def flag(self) -> bool:
        """Read one bit."""
        return bool(self.read(1))

    def bytes(self, count: int) -> bytes:
        """Read that many bytes, aligned or not."""
        return self.read(8 * count).to_bytes(count)

    def skip(self, count: int) -> None:
        """Skip that many bits."""
        self._left -= count

    def exp_golomb(self) -> int:
        """Read a number of variable length: `ue(v)` of HEVC, `uvlc()` of AV1."""
        zeros = 0
        while self._left > 0 and zeros < 32 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    @property
    def bytes_read(self) -> int:
        """Number of bytes read, including a partly read one."""
        return -(-(self._size - self._left) // 8)

    @property
    def ended(self) -> bool:
        """Return True if a bit was read beyond the end."""
        return self._left < 0
