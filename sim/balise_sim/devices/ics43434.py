"""ICS-43434: digital MEMS microphone with 24 bits in a slot of 32, left or right by its LR pin; quieter than INMP441.

DS = InvenSense DS-000069, revision 1.2 (2016). What it hears, and its faults: see _microphone.
"""

from balise_sim.devices._microphone import Microphone, heard


class Model(Microphone):
    NOISE_DBA = 29.0  # DS table 1: SNR 65 dB(A) at 94 dB
    STARTUP_FRAMES = 480  # DS table 1, start-up time: 10 ms
    RATES_HZ = (6_250, 51_600)  # DS table 3: WS; the low-power range is not played
    CHANNELS = heard(36.0, 100.0)  # as for the INMP441
