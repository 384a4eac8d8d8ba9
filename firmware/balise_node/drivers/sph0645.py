"""SPH0645LM4H: sound levels from an 18-bit microphone on I2S.

DS = Knowles SPH0645LM4H-B datasheet, revision B (2015). Promises what _microphone does; DS table 2 allows 3 dB of
sensitivity to either side. On some microcontrollers its words are read a bit beside their place: then there are no
levels, but the error "misaligned".
"""

from balise_node.drivers._microphone import Microphone


class Sensor(Microphone):
    MODEL = "sph0645"
    BITS = 18  # DS "interface format"
    QUIETEST = 3500  # DS table 2: noise of 29 dB(A), and 6 dB
