"""SPH0645LM4H: digital MEMS microphone with 18 bits in a slot of 32, left or right by its SELECT pin.

DS = Knowles SPH0645LM4H-B datasheet, revision B (2015). What it hears, and its faults: see _microphone. On some
microcontrollers its word is read one bit beside its place: the fault one_bit_shift.
"""

from balise_sim.devices._microphone import Microphone, heard


class Model(Microphone):
    NOISE_DBA = 29.0  # DS table 2: SNR 65 dB(A) at 94 dB
    BITS = 18  # DS "interface format": the others are zero
    STARTUP_FRAMES = 2_400  # DS: not specified, so chosen here: 50 ms
    RATES_HZ = (32_000, 64_000)  # DS table 3: clock of 2.048 to 4.096 MHz, 64 in a frame
    CHANNELS = heard(36.0, 100.0)  # as for the INMP441
