"""The checksum of Modbus, which others use as well. Leaves to the drivers which of its bytes goes first."""


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS (polynomial A001 reflected, start FFFF); crc16(b"123456789") is 0x4B37."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
