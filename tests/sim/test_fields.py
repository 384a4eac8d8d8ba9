"""A district that never was: the same for the same seed, and like a town."""

import math

import pytest

from balise_sim.fields import District, Place

WINTER_UTC_MS = 1_734_307_200_000  # Monday 2024-12-16T00:00Z
SPRING_UTC_MS = 1_713_139_200_000  # Monday 2024-04-15T00:00Z
HOUR_US = 3_600_000_000
NAMES = ("temperature", "humidity", "pressure", "pm1", "pm2_5", "pm4", "pm10", "co2", "coarse_per_m3", "laeq", "rain")


def series(place: Place, name: str, hours: range, step: int = 1) -> list[float]:
    value = place.channel(name)
    assert value is not None
    return [value(hour * HOUR_US) for hour in hours[::step]]


def correlation(a: list[float], b: list[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    together = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return together / math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name: str) -> None:
    hours = range(24 * 14)
    first, again, other = (series(District(seed, SPRING_UTC_MS).place(50, 20), name, hours) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_a_town(seed: int) -> None:
    for start in (WINTER_UTC_MS, SPRING_UTC_MS):
        place = District(seed, start).place(30, 15)
        hours = range(24 * 21)
        limits = {"temperature": (-15, 40), "humidity": (10, 100), "pressure": (96_000, 105_000), "pm2_5": (0.5, 150)}
        limits |= {"pm10": (1, 250), "co2": (400, 520), "coarse_per_m3": (0, 3_000), "laeq": (30, 85), "rain": (0, 30)}
        for name, (low, high) in limits.items():
            assert all(low <= value <= high for value in series(place, name, hours)), name
        pm = zip(*(series(place, name, hours) for name in ("pm1", "pm2_5", "pm4", "pm10")), strict=True)
        assert all(list(row) == sorted(row) for row in pm)


def test_neighbours_share_their_weather_and_the_road_is_dirtier() -> None:
    district = District(3, WINTER_UTC_MS)
    road, garden, hours = district.place(0, 5), district.place(0, 350), range(24 * 21)
    for name in ("temperature", "humidity", "pressure"):
        assert correlation(series(road, name, hours), series(garden, name, hours)) > 0.98
    assert correlation(series(road, "pm2_5", hours), series(garden, "pm2_5", hours)) > 0.4
    weekday_morning = 7 * HOUR_US  # 8:00 in Paris in winter
    for name in ("pm10", "laeq"):
        near, far = (place.mean(name, weekday_morning, weekday_morning + HOUR_US) for place in (road, garden))
        assert near > far + 3, name


def test_rush_hours_keep_to_the_clock_of_the_place() -> None:
    """8:15 in Paris is 7:15 UTC in winter and 6:15 in summer."""
    for start, utc_hour in ((WINTER_UTC_MS, 7), (SPRING_UTC_MS, 6)):
        place = District(5, start).place(0, 5)
        by_hour = [place.mean("laeq", hour * HOUR_US, (hour + 1) * HOUR_US, 10) for hour in range(4, 11)]
        assert by_hour.index(max(by_hour)) + 4 == utc_hour


def test_rain_washes_out() -> None:
    district = District(7, SPRING_UTC_MS)
    place, hours = district.place(20, 40), range(24 * 60)
    start_hour = SPRING_UTC_MS / 3_600_000
    wet = [hour for hour in hours if district.rained_mm(start_hour + hour - 6, start_hour + hour) > 6]
    dry = [hour for hour in hours if not district.rained_mm(start_hour + hour - 12, start_hour + hour)]
    assert len(wet) > 10
    for name in ("pm2_5", "coarse_per_m3"):
        values = series(place, name, hours)
        assert sum(values[hour] for hour in wet) / len(wet) < 0.7 * sum(values[hour] for hour in dry) / len(dry), name


def test_pollen_has_its_seasons_and_its_hours() -> None:
    spring, winter = (District(9, start).place(0, 60) for start in (SPRING_UTC_MS, WINTER_UTC_MS))
    day_us = 24 * HOUR_US
    assert spring.mean("coarse_per_m3", 0, 10 * day_us, 600) > 20 * winter.mean("coarse_per_m3", 0, 10 * day_us, 600)
    nights = [spring.mean("coarse_per_m3", d * day_us, d * day_us + 3 * HOUR_US, 600) for d in range(10)]
    noons = [spring.mean("coarse_per_m3", d * day_us + 10 * HOUR_US, d * day_us + 13 * HOUR_US, 600) for d in range(10)]
    assert sum(noons) > 1.5 * sum(nights)


def test_the_mean_of_a_level_is_one_of_energy() -> None:
    place = District(1, SPRING_UTC_MS).place(0, 5)
    level = place.channel("laeq")
    assert level is not None
    energies = [10 ** (level(s * 1_000_000) / 10) for s in range(0, 3600, 10)]
    assert place.mean("laeq", 0, HOUR_US, 10) == pytest.approx(10 * math.log10(sum(energies) / len(energies)))
    with pytest.raises(KeyError, match="nosuch"):
        place.mean("nosuch", 0, HOUR_US)
