"""The channel table: what each quantity is called, its unit, scale, resolution, plausible range and names at hubs.

Promises one row per quantity; a number, once given, keeps its meaning for ever. A plausible range is what a working
sensor in open or room air can show, not what is healthy or usual. Leaves what one sensor of one node really does
(its own resolution, calibration) to that node's manifest. The table is text: a board has no room for its objects.

Units are SenML units (RFC 8428 section 12.1, RFC 8798 for ug/m3, ppm and dBm); a value is integer / 10 ** scale.
"""

from balise_wire.errors import WireError

TABLE = """
# name, id, unit, scale, resolution, low, high, names at hubs
pm1 1 ug/m3 1 1 0 10000 sensor.community=P0 home-assistant=pm1 openaq=pm1 eea=6002
pm2_5 2 ug/m3 1 1 0 10000 sensor.community=P2 home-assistant=pm25 openaq=pm25 eea=6001
pm4 3 ug/m3 1 1 0 10000 sensor.community=P4
pm10 4 ug/m3 1 1 0 20000 sensor.community=P1 home-assistant=pm10 openaq=pm10 eea=5
temperature 5 Cel 2 1 -4000 8500 sensor.community=temperature home-assistant=temperature
humidity 6 %RH 2 1 0 10000 sensor.community=humidity home-assistant=humidity
pressure 7 Pa 0 1 30000 110000 sensor.community=pressure home-assistant=atmospheric_pressure
co2 8 ppm 0 1 300 40000 sensor.community=co2_ppm home-assistant=carbon_dioxide
# 100 is this sensor's own last day, not a concentration
voc_index 9 / 0 1 0 500
nox_index 10 / 0 1 0 500
voc_raw 11 count 0 1 0 65535
nox_raw 12 count 0 1 0 65535
gas_resistance 13 Ohm 0 1 1 100000000
formaldehyde 14 ug/m3 0 1 0 10000
# "CF=1" is Plantower's own scale for factories, which published corrections start from
pm1_cf1 15 ug/m3 1 1 0 10000
pm2_5_cf1 16 ug/m3 1 1 0 10000
pm10_cf1 17 ug/m3 1 1 0 20000
typical_particle_size 18 m 9 1 0 40000
laeq 20 dB 1 1 200 1400 sensor.community=noise_LAeq home-assistant=sound_pressure
lamin 21 dB 1 1 200 1400 sensor.community=noise_LA_min
lamax 22 dB 1 1 200 1400 sensor.community=noise_LA_max
la10 23 dB 1 1 200 1400
la50 24 dB 1 1 200 1400
la90 25 dB 1 1 200 1400
lceq 26 dB 1 1 200 1400
lcpeak 27 dB 1 1 200 1600
# seconds with a clipped sample
noise_overload 28 count 0 1 0 1000000
# seconds so quiet that the microphone's own noise adds 1 dB or more
noise_under_range 29 count 0 1 0 1000000
# Particles per cm3, for which SenML has no unit: smaller than so many um, then larger than so many
n0_5_per_cm3 30 count 3 1 0 100000000
n1_per_cm3 31 count 3 1 0 100000000
n2_5_per_cm3 32 count 3 1 0 100000000
n4_per_cm3 33 count 3 1 0 100000000
n10_per_cm3 34 count 3 1 0 100000000
n_gt0_3_per_cm3 35 count 2 1 0 1000000
n_gt0_5_per_cm3 36 count 2 1 0 1000000
n_gt1_per_cm3 37 count 2 1 0 1000000
n_gt2_5_per_cm3 38 count 2 1 0 1000000
n_gt5_per_cm3 39 count 2 1 0 1000000
battery 40 V 3 1 0 30000 home-assistant=voltage
rssi 41 dBm 0 1 -150 20 home-assistant=signal_strength
supply_voltage 42 V 3 1 0 30000 home-assistant=voltage
supply_current 43 A 4 1 -50000 50000 home-assistant=current
supply_power 44 W 3 1 -100000 100000 home-assistant=power
board_temperature 45 Cel 2 1 -4000 12500 home-assistant=temperature
latitude 46 lat 6 1 -90000000 90000000
longitude 47 lon 6 1 -180000000 180000000
altitude 48 m 1 1 -5000 90000
satellites 49 count 0 1 0 100
n_gt10_per_cm3 50 count 2 1 0 1000000
# Grains of 16 to 40 um: what was counted in one row and in how much air, then per m3 over an hour and a day, with
# the exact 95 % Poisson interval of the count
coarse_count 60 count 0 1 0 1000000
sampled_volume 61 l 3 1 0 1000000
coarse_1h_per_m3 62 count 1 1 0 1000000000
coarse_1h_low_per_m3 63 count 1 1 0 1000000000
coarse_1h_high_per_m3 64 count 1 1 0 1000000000
coarse_24h_per_m3 65 count 1 1 0 1000000000
coarse_24h_low_per_m3 66 count 1 1 0 1000000000
coarse_24h_high_per_m3 67 count 1 1 0 1000000000
# What a sensor says of itself, bit by bit as its data sheet numbers them
pms_status 80 / 0 1 0 1000000000
nextpm_status 81 / 0 1 0 1000000000
sps30_status 82 / 0 1 0 1000000000
sen5x_status 83 / 0 1 0 1000000000
sen66_status 84 / 0 1 0 1000000000
opc_n3_status 85 / 0 1 0 1000000000
mic_status 86 / 0 1 0 1000000000
bme680_status 87 / 0 1 0 1000000000
ds3231_status 88 / 0 1 0 1000000000
senseair_s8_status 89 / 0 1 0 1000000000
gnss_status 90 / 0 1 0 1000000000
# how much sound stands behind a row's levels
noise_duration 150 s 1 1 0 1000000
illuminance 91 lx 1 1 0 1500000 home-assistant=illuminance
sht31_status 120 / 0 1 0 65535
"""


class Channel:
    """One row of the table. `low` and `high` are scaled integers, as values on the wire are."""

    def __init__(self, row: str) -> None:
        fields = row.split()
        self.name, self.unit, self._names = fields[0], fields[2], fields[7:]
        self.id, self.scale, self.resolution = int(fields[1]), int(fields[3]), int(fields[4])
        self.low, self.high = int(fields[5]), int(fields[6])

    def name_at(self, hub: str) -> str | None:
        """What that hub calls this quantity; None where it has no name for it."""
        for pair in self._names:
            key, name = pair.split("=")
            if key == hub:
                return name
        return None

    def manifest_entry(self, model: str) -> dict[object, object]:
        """This channel as a manifest says it, measured by that sensor model."""
        return {"n": self.name, "u": self.unit, "s": self.scale, "r": self.resolution, "model": model}

    def __repr__(self) -> str:
        return f"channel({self.name!r})"


def channel(name: str) -> Channel:
    """The row of this name, or WireError "channel"."""
    at = TABLE.find("\n" + name + " ") + 1
    if at and name and name[0] != "#":
        return Channel(TABLE[at : TABLE.find("\n", at)])
    raise WireError("channel", f"no channel {name!r}; known: " + ", ".join(names()))


def names() -> list[str]:
    """Every channel of the table, in its order."""
    return [row.split()[0] for row in TABLE.strip().split("\n") if row[0] != "#"]
