"""INMP441: digital MEMS microphone with 24 bits in a slot of 32, left or right by its L/R pin.

DS = InvenSense DS-INMP441-00, revision 1.1 (2014). What it hears, and its faults: see _microphone.
"""

from balise_sim.devices._microphone import Microphone, heard


class Model(Microphone):
    NOISE_DBA = 33.0  # DS table 1: SNR 61 dB(A) at 94 dB
    STARTUP_FRAMES = (1 << 18) // 64  # DS "start-up": zeros for 2**18 clocks of SCK, 64 in a frame
    RATES_HZ = (7_800, 50_000)  # DS table 3: WS
    # To 100 dB: the street's crests are 14 dB above its mean, and DS table 1 has its end at 120 dB
    CHANNELS = heard(40.0, 100.0)
