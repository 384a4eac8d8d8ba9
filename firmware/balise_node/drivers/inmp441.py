"""INMP441: sound levels from a 24-bit microphone on I2S.

DS = InvenSense DS-INMP441-00, revision 1.1 (2014). Promises what _microphone does; DS table 1 allows 3 dB of
sensitivity to either side, so without a calibration of its own this part cannot claim better.
"""

from balise_node.drivers._microphone import Microphone


class Sensor(Microphone):
    MODEL = "inmp441"
    BITS = 24  # DS "data format"
    QUIETEST = 3900  # DS table 1: noise of 33 dB(A), and 6 dB
