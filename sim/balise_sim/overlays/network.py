"""`network` of the board: one Wi-Fi station.

Promises: joining takes time, fails for a wrong name or key with the port's own status numbers, and is lost when the
radio is. Leaves to others: access point mode and cabled interfaces, which no node of ours uses.
"""

import _bridge
import _memory
from micropython import const

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND, STAT_CONNECT_FAIL, STAT_GOT_IP = (
    (0, 1, -3, -2, -1, 3) if _bridge.settings["platform"] == "rp2" else (1000, 1001, 202, 201, 203, 1010)
)
_STATUS = (STAT_IDLE, STAT_CONNECTING, STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND, STAT_CONNECT_FAIL, STAT_GOT_IP)
_GOT_IP = const(5)
_ACTIVE, _JOIN, _LEAVE, _STATE, _ADDRESS, _RSSI = const(0), const(1), const(2), const(3), const(4), const(5)
_ASK = const(-1)
_hostname = "balise"
_country = "XX"


def hostname(name=None):
    global _hostname
    if name is not None:
        _hostname = name
    return _hostname


def country(code=None):
    global _country
    if code is not None:
        _country = code
    return _country


def ipconfig(*names, **settings):
    """Only the keys that read: the name server comes from the network."""
    if names == ("dns",):
        return WLAN().ifconfig()[3]
    raise ValueError("unknown config param")


def _take(kind):
    try:
        _memory.take(kind)
    except OSError:
        raise OSError("WiFi Out of Memory") from None


class WLAN:
    IF_STA, IF_AP = 0, 1
    SEC_OPEN, SEC_WPA_WPA2 = 0, 4
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    def __init__(self, interface_id=STA_IF):
        if interface_id != STA_IF:
            raise ValueError("only the station interface is simulated")
        _take(_memory.WIFI)
        self._ssid = ""
        self._options = {"reconnects": -1, "pm": WLAN.PM_PERFORMANCE, "txpower": 20, "channel": 6, "security": 4}

    def active(self, is_active=None):
        if is_active:
            _take(_memory.WIFI_ACTIVE)
        elif is_active is not None:
            _memory.give(_memory.WIFI_ACTIVE)
        return bool(_bridge.call(_bridge.WLAN, 0, _ACTIVE, _ASK if is_active is None else int(bool(is_active))))

    def connect(self, ssid=None, password=None, *, bssid=None):
        self._ssid = self._ssid if ssid is None else ssid
        _bridge.call(_bridge.WLAN, 0, _JOIN, 0, (self._ssid + "\0" + (password or "")).encode())

    def disconnect(self):
        _bridge.call(_bridge.WLAN, 0, _LEAVE)

    def isconnected(self):
        return _bridge.call(_bridge.WLAN, 0, _STATE) == _GOT_IP

    def status(self, param=None):
        if param == "rssi":
            return _bridge.call(_bridge.WLAN, 0, _RSSI) - 256
        return _STATUS[_bridge.call(_bridge.WLAN, 0, _STATE)]

    def ifconfig(self, ip_mask_gateway_dns=None):
        _bridge.call(_bridge.WLAN, 0, _ADDRESS)
        return tuple(_bridge.reply().decode().split("\n"))

    def ipconfig(self, *names, **settings):
        """`addr4` gives (address, mask), `gw4` the gateway; settings are accepted and change nothing."""
        if settings:
            return None
        address, mask, gateway, _ = self.ifconfig()
        values = {"addr4": (address, mask), "gw4": gateway, "dhcp4": True, "has_dhcp4": address != "0.0.0.0"}
        return values[names[0]]

    def config(self, *names, **settings):
        if settings:
            for name in settings:
                if name != "hostname" and name not in self._options:
                    raise ValueError("unknown config param")
                self._options[name] = settings[name]
            return None
        if names == ("mac",):
            return bytes.fromhex(_bridge.settings["unique_id"])[:6]
        if names == ("ssid",) or names == ("essid",):
            return self._ssid
        if names == ("hostname",):
            return self._options.get("hostname", _hostname)
        if names[0] not in self._options:
            raise ValueError("unknown config param")
        return self._options[names[0]]
