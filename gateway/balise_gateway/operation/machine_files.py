"""What a machine must not do where badges are read: hold the reader itself, put a login on its port, lock us out.

Promises to look only at files, below any root folder, so that doctor and installation see the same. Sources: the
blacklist of kernel modules is that of libnfc and of the makers of USB readers; pcscd asks polkit, whose default lets
in active sessions only, and no service (pcsc-lite, org.debian.pcsc-lite.policy).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from balise_gateway.operation.unit import USER

MODULES = ("pn533_usb", "pn533", "nfc")
MODPROBE = "/etc/modprobe.d/balise-nfc.conf"
BLACKLIST = "# Written by `balise gateway install`: the kernel's own driver takes USB card readers away from pcscd.\n"
BLACKLIST += "".join(f"blacklist {module}\n" for module in MODULES)
POLKIT = "/etc/polkit-1/rules.d/50-balise.rules"
POLKIT_RULE = f"""\
// Written by `balise gateway install`: pcscd lets in active sessions only, and the gateway is a service.
polkit.addRule(function(action, subject) {{
    if ((action.id == "org.debian.pcsc-lite.access_pcsc" || action.id == "org.debian.pcsc-lite.access_card") &&
        subject.user == "{USER}") {{
        return polkit.Result.YES;
    }}
}});
"""
_CMDLINES = ("boot/firmware/cmdline.txt", "boot/cmdline.txt")  # Raspberry Pi OS 12 and later; before
_CONSOLE = re.compile(r"\bconsole=((?:serial|ttyAMA|ttyS)\w*)")


def modules_in_the_way(root: Path) -> list[str]:
    """Those that would be loaded for a USB reader: no file of modprobe's keeps them out."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in root.glob("etc/modprobe.d/*.conf")]
    said = {line.strip() for text in texts for line in text.splitlines()}
    return [name for name in MODULES if not said & {f"blacklist {name}", f"install {name} /bin/false"}]


def modules_loaded(root: Path) -> list[str]:
    """Those that are loaded now."""
    return [name for name in MODULES if (root / "sys/module" / name).is_dir()]


def consoles(root: Path, ports: Sequence[str]) -> list[str]:
    """The consoles on a Pi's own UART, where a reader hangs on it; the kernel's command line names them."""
    if not ports:
        return []
    found = next((path for name in _CMDLINES if (path := root / name).exists()), None)
    return _CONSOLE.findall(found.read_text(encoding="utf-8", errors="replace")) if found is not None else []
