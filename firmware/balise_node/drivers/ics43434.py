"""ICS-43434: sound levels from a 24-bit microphone on I2S, quieter and better matched than the INMP441.

DS = InvenSense DS-000069, revision 1.2 (2016). Promises what _microphone does; DS table 1 allows 1 dB of sensitivity to
either side.
"""

from balise_node.drivers._microphone import Microphone


class Sensor(Microphone):
    MODEL = "ics43434"
    BITS = 24  # DS "data word length"
    QUIETEST = 3500  # DS table 1: noise of 29 dB(A), and 6 dB
