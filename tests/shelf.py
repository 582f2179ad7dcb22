"""A bucket of no more than a dictionary: quick, and as damaged as a test wants it."""

from collections.abc import Iterable, Iterator


class Shelf:
    """What `functions/adapters/objects.py` is to a real bucket. Objects are handed out in pieces."""

    def __init__(self, piece: int = 1 << 20) -> None:
        self.objects: dict[str, bytes] = {}
        self._piece = piece

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def read(self, key: str) -> Iterator[bytes]:
        if key not in self.objects:
            raise FileNotFoundError(key)
        body = self.objects[key]
        for at in range(0, len(body), self._piece):
            yield body[at : at + self._piece]

    def write(self, key: str, blocks: Iterable[bytes]) -> None:
        self.objects[key] = b"".join(blocks)
