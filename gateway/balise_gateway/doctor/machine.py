"""Does the machine keep itself up to date, and has it a name of its own?"""

from collections.abc import Iterator

from balise_gateway.doctor import Finding, Patient, Told, doubt, well

SHARED_NAMES = ("raspberrypi", "localhost", "raspberry", "debian", "pi")
_PERIODIC = "etc/apt/apt.conf.d/20auto-upgrades"  # what `dpkg-reconfigure unattended-upgrades` writes


def look(patient: Patient) -> Iterator[Finding]:
    path = patient.root / "etc/hostname"
    name = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if name.lower() in SHARED_NAMES:
        yield doubt(
            Told(
                f"la machine s'appelle {name}, comme beaucoup d'autres",
                f"the machine is called {name}, as many others are",
            ),
            Told(
                "deux machines du même nom se gênent ; essayez : sudo hostnamectl set-hostname passerelle-x7k2",
                "two machines of one name disturb each other; try: sudo hostnamectl set-hostname passerelle-x7k2",
            ),
        )
    elif name:
        yield well(f"sur ce réseau : {name}.local", f"on this network: {name}.local")
    file = patient.root / _PERIODIC
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if 'Unattended-Upgrade "1"' not in text:
        yield doubt(
            Told("les mises à jour de sécurité ne se font pas seules", "security updates do not install themselves"),
            Told(
                "essayez : sudo apt install unattended-upgrades, puis sudo dpkg-reconfigure -plow unattended-upgrades",
                "try: sudo apt install unattended-upgrades, then sudo dpkg-reconfigure -plow unattended-upgrades",
            ),
        )
    else:
        yield well("les mises à jour de sécurité se font seules", "security updates install themselves")
