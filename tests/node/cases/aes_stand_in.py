"""AES-128, ECB and CBC, encryption only, for an interpreter that has no `cryptolib`: FIPS 197, section by section.

Stands at the edge of the vectors of frames, which are right or wrong by bytes that were made elsewhere.
"""


def _double(byte):
    return (byte << 1 ^ 0x11B) & 0xFF if byte & 0x80 else byte << 1


def _sbox():
    """FIPS 197 5.1.1: inverses by walking the powers of 3 up and down, then the affine transformation."""
    box = bytearray(256)
    power = inverse = 1
    while True:
        power ^= _double(power)  # times 3
        for shift in (1, 2, 4):  # divided by 3
            inverse ^= inverse << shift & 0xFF
        inverse ^= 0x09 if inverse & 0x80 else 0
        rotated = inverse | inverse << 8
        box[power] = (inverse ^ rotated >> 7 ^ rotated >> 6 ^ rotated >> 5 ^ rotated >> 4) & 0xFF ^ 0x63
        if power == 1:
            break
    box[0] = 0x63
    return bytes(box)


_SBOX = _sbox()


class aes:
    def __init__(self, key, mode, IV=None):
        if mode not in (1, 2) or len(key) != 16:
            raise ValueError("only AES-128, ECB or CBC")
        self._chained = bytes(IV) if mode == 2 else None
        self._round_keys = bytearray(key)  # 5.2
        constant = 1
        for at in range(16, 176, 4):
            word = self._round_keys[at - 4 : at]
            if at % 16 == 0:
                word = bytes((_SBOX[word[1]] ^ constant, _SBOX[word[2]], _SBOX[word[3]], _SBOX[word[0]]))
                constant = _double(constant)
            for i in range(4):
                self._round_keys.append(self._round_keys[at - 16 + i] ^ word[i])

    def encrypt(self, data, out=None):
        done = b""
        for at in range(0, len(data), 16):
            block = data[at : at + 16]
            if self._chained is not None:  # SP 800-38A 6.2
                block = bytes(a ^ b for a, b in zip(block, self._chained))  # noqa: B905 - not on MicroPython
            block = self._block(block)
            if self._chained is not None:
                self._chained = block
            done += block
        if out is None:
            return done
        out[: len(done)] = done
        return None

    def _block(self, block):
        state = bytearray(a ^ b for a, b in zip(block, self._round_keys))  # noqa: B905 - not on MicroPython
        for round_at in range(16, 176, 16):
            state = bytearray(_SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))  # 5.1.1, 5.1.2
            if round_at < 160:
                state = self._mix(state)
            for at in range(16):
                state[at] ^= self._round_keys[round_at + at]
        return bytes(state)

    def _mix(self, state):
        """5.1.3."""
        mixed = bytearray(16)
        for column in range(0, 16, 4):
            every = state[column] ^ state[column + 1] ^ state[column + 2] ^ state[column + 3]
            for row in range(4):
                here, below = state[column + row], state[column + (row + 1) % 4]
                mixed[column + row] = here ^ every ^ _double(here ^ below)
        return mixed
