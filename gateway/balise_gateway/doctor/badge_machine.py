"""Does the machine let badges work: the unit, kernel modules, a login console on the port of a reader?"""

from collections.abc import Iterator

from balise_gateway.doctor import Finding, Patient, Told, doubt, ill, well
from balise_gateway.operation import devices, machine_files, unit

_UNIT = "etc/systemd/system"
_INSTALL = Told(
    "essayez : sudo balise gateway install, puis redémarrez le service",
    "try: sudo balise gateway install, then restart the service",
)


def look(patient: Patient) -> Iterator[Finding]:
    if patient.config.badge is None:
        return
    found = [*_unit(patient), *_modules(patient), *_consoles(patient)]
    yield from found or [well("rien sur la machine ne gêne les badges", "nothing of the machine is in the badges' way")]


def _unit(patient: Patient) -> Iterator[Finding]:
    path = patient.root / _UNIT / unit.NAME
    if not path.exists():
        return  # not run as a service, or not by ours
    lines = set(path.read_text(encoding="utf-8", errors="replace").splitlines())
    lacking = [device for device in devices.of(patient.config).devices if f"DeviceAllow={device}" not in lines]
    if lacking:
        names = ", ".join(lacking)
        what = Told(f"le service n'a pas accès à : {names}", f"the service is not let at: {names}")
        yield ill(what, _INSTALL)


def _modules(patient: Patient) -> Iterator[Finding]:
    if not devices.of(patient.config).pcscd:
        return
    loaded = machine_files.modules_loaded(patient.root)
    if loaded:
        names = " ".join(loaded)
        yield ill(
            Told(
                f"le noyau prend les lecteurs de cartes pour lui : {names}", f"the kernel takes card readers: {names}"
            ),
            Told(
                f"essayez : sudo balise gateway install, puis sudo modprobe -r {names}, ou redémarrez",
                f"try: sudo balise gateway install, then sudo modprobe -r {names}, or restart",
            ),
        )
    elif machine_files.modules_in_the_way(patient.root):
        what = Told(
            "au prochain démarrage, le noyau peut prendre le lecteur de cartes",
            "the kernel may take the card reader at the next start",
        )
        yield doubt(what, _INSTALL)


def _consoles(patient: Patient) -> Iterator[Finding]:
    consoles = machine_files.consoles(patient.root, devices.console_ports(patient.config))
    if consoles:
        names = ", ".join(consoles)
        yield ill(
            Told(f"une console de connexion est sur {names}", f"a login console is on {names}"),
            Told(
                "essayez : sudo raspi-config nonint do_serial_cons 1, puis redémarrez",
                "try: sudo raspi-config nonint do_serial_cons 1, then restart",
            ),
        )
