"""What there is to measure in a district that never was: seeded fields over space and time.

Promises: the same seed, place and moment give the same values, so any test can ask how far off a sensor was (`mean`);
neighbours share their weather and differ by their distance to the road and to chimneys; rain washes out. Leaves to
others: what a sensor makes of it (devices/), and recorded air (replay.py).

Made, not measured: sizes are those of a French town (temperatures of a temperate climate, PM2.5 of 3 to 60 ug/m3, a
street of 45 to 75 dB(A), grain seasons from alder to ragweed as one count), chosen here to look like real days. Times
of day are local time, so that rush hours keep to the clock through changes of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from balise_sim import truth
from balise_sim.truth import US_PER_S

ZONE = ZoneInfo("Europe/Paris")
S_PER_HOUR, H_PER_DAY = 3600, 24
WASHOUT_PER_MM = 0.12  # share of particles that one mm of rain takes out of the air
WASHOUT_HOURS = 6  # how long the air stays clean behind it
SMOKE_BELOW_C = 13.0  # stoves are lit when it is colder
# day of the year of the peak, its width in days, grains per m3 on an average day at the peak
SEASONS = ((45, 12, 60.0), (105, 14, 220.0), (165, 22, 110.0), (245, 14, 70.0))


@dataclass(frozen=True)
class Sky:
    """The weather of one moment, the same for the whole district."""

    day_of_year: int
    hour: float  # local, 0 to 24
    weekday: bool
    temperature_c: float
    dew_point_c: float
    pressure_pa: float
    wind_ms: float
    wind_from_rad: float
    rain_mmh: float
    washed_out: float  # share of particles left, 0 to 1


class District:
    """One made-up district. x runs along its main road (y = 0), in metres; chimneys stand where the seed put them."""

    def __init__(self, seed: int, start_utc_ms: int) -> None:
        self.seed, self.start_utc_ms = seed, start_utc_ms
        dice = Random(f"{seed}/chimneys")
        self.chimneys = [(dice.uniform(-600, 600), dice.uniform(-400, 400)) for _ in range(8)]
        self._lattice = lru_cache(100_000)(self._draw)
        self._showers_of = lru_cache(1_000)(self._draw_showers)
        self.sky = lru_cache(4_096)(self._sky)

    def place(self, x_m: float, y_m: float, height_m: float = 3.0) -> "Place":
        """Somewhere in it."""
        return Place(self, x_m, y_m, height_m)

    def wave(self, name: str, hour: float, period_h: float) -> float:
        """Smooth noise between -1 and 1 that changes its mind every `period_h` hours."""
        at = hour / period_h
        number = math.floor(at)
        part = at - number
        part = part * part * (3 - 2 * part)
        return self._lattice(name, number) * (1 - part) + self._lattice(name, number + 1) * part

    def _draw(self, name: str, number: int) -> float:
        return Random(f"{self.seed}/{name}/{number}").uniform(-1, 1)

    def _draw_showers(self, day: int) -> list[tuple[float, float, float]]:
        """(first hour, last hour, mm/h) of each shower that begins on that day, in hours since 1970."""
        dice = Random(f"{self.seed}/showers/{day}")
        wet = self.wave("wet", day * H_PER_DAY, 96) > 0.1
        showers = []
        for _ in range(dice.randint(1, 4) if wet else 0):
            start = day * H_PER_DAY + dice.uniform(0, H_PER_DAY)
            showers.append((start, start + dice.uniform(0.3, 4), dice.uniform(0.4, 5)))
        return showers

    def rained_mm(self, from_hour: float, to_hour: float) -> float:
        """What fell between two moments, in hours since 1970."""
        days = range(int(from_hour // H_PER_DAY) - 1, int(to_hour // H_PER_DAY) + 1)
        fallen = 0.0
        for start, end, mmh in (shower for day in days for shower in self._showers_of(day)):
            fallen += mmh * max(0.0, min(end, to_hour) - max(start, from_hour))
        return fallen

    def _sky(self, minute: int) -> Sky:
        """The weather of one minute since 1970: nothing here changes faster."""
        utc_hour = minute / 60
        local = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZONE)
        day, hour = local.timetuple().tm_yday, local.hour + local.minute / 60
        rain_mmh = self.rained_mm(utc_hour - 1 / 30, utc_hour) * 30
        cloud = min(1.0, 0.5 + 0.5 * self.wave("cloud", utc_hour, 9) + 0.2 * rain_mmh)
        season_c = 11.5 - 8.5 * math.cos(math.tau * (day - 20) / 365)
        daily_c = 5.0 * (1 - 0.7 * cloud) * math.cos(math.tau * (hour - 15) / H_PER_DAY)
        temperature_c = season_c + daily_c + 4.5 * self.wave("front", utc_hour, 60) - min(2.0, rain_mmh)
        dew_c = season_c + 3.0 * self.wave("front", utc_hour, 60) - 4.5 + 2.5 * self.wave("moist", utc_hour, 20)
        if rain_mmh:
            dew_c = temperature_c - 0.6
        return Sky(
            day_of_year=day,
            hour=hour,
            weekday=local.weekday() < 5,
            temperature_c=temperature_c,
            dew_point_c=min(dew_c, temperature_c - 0.1),
            pressure_pa=101_500 + 1_300 * self.wave("pressure", utc_hour, 70),
            wind_ms=0.4 + 3.5 * (1 + self.wave("wind", utc_hour, 14)) * (0.7 + 0.3 * math.sin(math.tau * hour / 24)),
            wind_from_rad=math.pi * (1 + self.wave("direction", utc_hour, 18)),
            rain_mmh=rain_mmh,
            washed_out=math.exp(-WASHOUT_PER_MM * self.rained_mm(utc_hour - WASHOUT_HOURS, utc_hour)),
        )


class Place:
    """One place: `channel` gives what can be measured there, as the simulator's environments do."""

    def __init__(self, district: District, x_m: float, y_m: float, height_m: float) -> None:
        self._district, self._x_m, self._y_m, self._height_m = district, x_m, y_m, height_m
        self._quantities: dict[str, Callable[[float], float]] = {
            "temperature": lambda minute: self._at(minute).temperature_c - 0.4 * math.hypot(x_m, y_m) / 1000,
            "humidity": self._humidity_pct,
            "pressure": lambda minute: self._at(minute).pressure_pa - 11.8 * height_m,
            "rain": lambda minute: self._at(minute).rain_mmh,
            "pm1": lambda minute: 0.68 * self._pm2_5_ugm3(minute),
            "pm2_5": self._pm2_5_ugm3,
            "pm4": lambda minute: 0.45 * self._pm2_5_ugm3(minute) + 0.55 * self._pm10_ugm3(minute),
            "pm10": self._pm10_ugm3,
            "co2": lambda minute: 424 + 25 * self._traffic(self._at(minute)) * self._calm(self._at(minute)),
            "coarse_per_m3": self._grains_per_m3,
            "laeq": self._laeq_db,
        }

    def channel(self, name: str) -> Callable[[int], float] | None:
        """The quantity as a function of the world's microseconds; None when the district does not have it."""
        quantity = self._quantities.get(name)
        if quantity is None:
            return None
        start_s = self._district.start_utc_ms / 1000
        return lambda now_us: quantity((start_s + now_us / US_PER_S) / 60)

    def mean(self, name: str, from_us: int, to_us: int, step_s: int = 60) -> float:
        """The truth of a stretch of time: the mean, of the energy where the quantity is a level."""
        quantity = self.channel(name)
        if quantity is None:
            raise KeyError(f"the district has no {name!r}; it has {', '.join(sorted(self._quantities))}")
        return truth.mean(quantity, name, (from_us, to_us), step_s)

    def _at(self, minute: float) -> Sky:
        return self._district.sky(int(minute))

    def _humidity_pct(self, minute: float) -> float:
        """Magnus formula over water: WMO-No. 8, annex 4.B."""
        sky = self._at(minute)

        def vapour_hpa(celsius: float) -> float:
            return 6.112 * math.exp(17.62 * celsius / (243.12 + celsius))

        return min(100.0, 100 * vapour_hpa(sky.dew_point_c) / vapour_hpa(sky.temperature_c))

    def _traffic(self, sky: Sky) -> float:
        """0 at night to 1 in the rush hour."""

        def bump(at: float, width: float) -> float:
            return math.exp(-(((sky.hour - at) / width) ** 2))

        if sky.weekday:
            return 0.04 + 0.96 * min(1.0, bump(8.2, 1.1) + bump(17.8, 1.4) + 0.45 * bump(13, 4))
        return 0.04 + 0.5 * bump(15, 5)

    def _calm(self, sky: Sky) -> float:
        """How much of what is let out stays near: 1 in still air."""
        return 1 / (0.5 + 0.5 * sky.wind_ms)

    def _pm2_5_ugm3(self, minute: float) -> float:
        sky, district = self._at(minute), self._district
        background = 7.5 + 5 * district.wave("background", minute / 60, 50)
        road = 9 * self._traffic(sky) * math.exp(-abs(self._y_m) / 90)
        cold = max(0.0, min(1.0, (SMOKE_BELOW_C - sky.temperature_c) / 12))
        evening = math.exp(-(((sky.hour - 20.5) / 2.3) ** 2)) + 0.4 * math.exp(-(((sky.hour - 7.5) / 1.5) ** 2))
        smoke = 26 * cold * evening * sum(self._plume(sky, *chimney) for chimney in district.chimneys)
        return 0.8 + (background + (road + smoke) * self._calm(sky)) * sky.washed_out

    def _plume(self, sky: Sky, x_m: float, y_m: float) -> float:
        """What of a chimney's smoke comes here: more downwind of it, less with distance."""
        away_x, away_y = self._x_m - x_m, self._y_m - y_m
        distance_m = math.hypot(away_x, away_y)
        towards = -(away_x * math.sin(sky.wind_from_rad) + away_y * math.cos(sky.wind_from_rad)) / (distance_m + 1)
        return math.exp(-distance_m / 160) * (0.35 + 0.65 * max(0.0, towards))

    def _pm10_ugm3(self, minute: float) -> float:
        sky = self._at(minute)
        dust = 4 + 9 * self._traffic(sky) * math.exp(-abs(self._y_m) / 60) + 0.9 * sky.wind_ms
        return self._pm2_5_ugm3(minute) + dust * sky.washed_out

    def _grains_per_m3(self, minute: float) -> float:
        """All grains of 16 to 40 um together: what a counter without eyes could see."""
        sky = self._at(minute)
        season = sum(peak * math.exp(-(((sky.day_of_year - day) / width) ** 2)) for day, width, peak in SEASONS)
        day_factor = math.exp(1.1 * self._district.wave("flowering", minute / 60, 30))
        hour = 0.25 + 1.3 * math.exp(-(((sky.hour - 13) / 4.5) ** 2))
        return (0.5 + season * day_factor * hour * min(1.0, 0.4 + 0.25 * sky.wind_ms)) * sky.washed_out**2

    def _laeq_db(self, minute: float) -> float:
        """A quiet town, the road's steady hum, and single cars that pass by night and by day."""
        sky = self._at(minute)
        hum = 10 * math.log10(self._traffic(sky)) + 68 - 15 * math.log10(1 + abs(self._y_m) / 10)
        levels = [36 + 2 * self._district.wave("town", minute / 60, 3), hum, 34 + 4 * sky.rain_mmh**0.5]
        second = minute * 60
        slot = math.floor(second / 30)
        dice = Random(f"{self._district.seed}/car/{slot}")
        if dice.random() < 0.15 + 0.7 * self._traffic(sky):
            away_s = second - slot * 30 - dice.uniform(8, 22)
            levels.append(74 - 12 * math.log10(1 + abs(self._y_m) / 8) - 1.6 * abs(away_s))
        return 10 * math.log10(sum(10 ** (level / 10) for level in levels))
