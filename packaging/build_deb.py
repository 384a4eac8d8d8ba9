"""Builds the Debian package: `python packaging/build_deb.py FOLDER` (or `make deb`).

Promises one package for all architectures, Debian 12 and later and Raspberry Pi OS, 32-bit ones too: what is compiled
(cryptography, cbor2) comes from Debian; the pure Python libraries, of which Debian 12 has none that is new enough, are
those of the environment that builds, so those that the tests ran with. They lie in a virtual environment of their own,
/usr/lib/balise, where no other program sees them. Leaves user, configuration and unit to `balise gateway install`.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from email.utils import formatdate
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
HOME = "usr/lib/balise"
SITE = f"{HOME}/lib/python3/site-packages"
PYTHONS = range(11, 17)  # the minor versions that find the libraries; a new Debian needs no new package
FROM_DEBIAN = {"cryptography": "38", "cbor2": "5.4.6"}  # compiled: name and the version of Debian 12
NEVER = {"cffi", "pycparser"}  # what only those need
# For places with badges, what Debian or Raspberry Pi OS has new enough; the rest by pip: gateway/BADGES.md
SUGGESTS = "pcscd, python3-pyscard, python3-serial, python3-pil, python3-lgpio, python3-xlsxwriter, ffmpeg, python3-pip"
COMPILED = (".so", ".pyd", ".pyc")
MAINTAINER = "The Balise developers <maintainers@balise.example>"
CONTROL = """\
Package: balise
Version: {version}
Architecture: all
Maintainer: {maintainer}
Installed-Size: {size_kib}
Depends: python3 (>= 3.11), {depends}, passwd
Recommends: unattended-upgrades, avahi-daemon, chrony | systemd-timesyncd
Suggests: {suggests}
Section: net
Priority: optional
Description: sensor data that anyone can verify: gateway and tools
 Balise keeps, signs and forwards what air, pollen and noise sensors measure.
 This package installs the gateway as a hardened system service and brings the
 command balise. Measurements and keys stay in /var/lib/balise.
"""
POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    /{home}/bin/python3 -m compileall -q /{site} || true  # only speed
    /usr/bin/balise gateway install
    if [ -d /run/systemd/system ]; then
        systemctl try-restart balise-gateway.service
    fi
fi
"""
PRERM = """\
#!/bin/sh
set -e
if [ "$1" = remove ]; then
    /usr/bin/balise gateway uninstall
fi
find /{home} -name __pycache__ -type d -prune -exec rm -rf {{}} +
"""
SCRIPT = """\
#!/{home}/bin/python3
from balise_tools.main import app

app()
"""
OVERRIDES = """\
# an environment of its own: Debian 12's libraries are older than what the gateway needs
balise: wrong-path-for-interpreter */bin/python3 != * [*bin/balise]
balise: bogus-mail-host *
balise: bogus-mail-host-in-debian-changelog *
"""
COPYRIGHT_HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: balise

Files: *
Copyright: 2026 The Balise developers
License: Apache-2.0
 On Debian systems the text of this licence is in /usr/share/common-licenses/Apache-2.0.
"""


def main(folder: Path) -> Path:
    """Builds into `folder`, which may be there; returns the package's path."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    site = tree / SITE
    site.mkdir(parents=True)
    _unpack_ours(site, folder)
    bundled = sorted(_bundled(), key=lambda found: found.name.lower())
    for found in bundled:
        _copy(found, site)
    _environment(tree)
    _papers(tree, version, bundled)
    _control(tree, version)
    file = folder / f"balise_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", str(tree), str(file)], check=True)
    shutil.rmtree(tree)
    return file


def _unpack_ours(site: Path, folder: Path) -> None:
    """Our own packages, by way of the wheel that others install."""
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*words, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("balise-*.whl")
    shutil.unpack_archive(wheel, site, "zip")


def _bundled() -> Iterator[metadata.Distribution]:
    """What balise[gateway] needs, and what that needs, but for what Debian brings."""
    todo, seen = [Requirement("balise[gateway]")], set(FROM_DEBIAN) | NEVER
    while todo:
        wanted = todo.pop()
        found = metadata.distribution(wanted.name)
        if found.name != "balise":
            yield found
        for text in found.requires or ():
            needed = Requirement(text)
            extras = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            meant = needed.marker is None or any(needed.marker.evaluate(extra) for extra in extras)
            name = re.sub(r"[-_.]+", "-", needed.name).lower()
            if meant and name not in seen:
                seen.add(name)
                todo.append(needed)


def _copy(found: metadata.Distribution, site: Path) -> None:
    for file in found.files or ():
        if ".." in file.parts or file.suffix in COMPILED or "__pycache__" in file.parts:
            if file.suffix in COMPILED[:2]:
                raise SystemExit(
                    f"{found.name} {found.version} holds compiled code: {file}; take it from Debian instead"
                )
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.locate_file(file), target)


def _environment(tree: Path) -> None:
    """A virtual environment that sees Debian's packages behind its own, for any of PYTHONS."""
    home = tree / HOME
    (home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n", encoding="utf-8")
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    for minor in PYTHONS:
        (home / f"lib/python3.{minor}").symlink_to("python3")
    script = home / "bin/balise"
    script.write_text(SCRIPT.format(home=HOME), encoding="utf-8")
    script.chmod(0o755)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/balise").symlink_to("../lib/balise/bin/balise")


def _papers(tree: Path, version: str, bundled: list[metadata.Distribution]) -> None:
    """Copyright with each bundled library and its licence, Debian's changelog, and what lintian need not say."""
    doc = tree / "usr/share/doc/balise"
    doc.mkdir(parents=True)
    told = [COPYRIGHT_HEAD]
    for found in bundled:
        about = found.metadata
        licence = about.get("License-Expression") or about.get("License") or "see its dist-info"
        holder = about.get("Author") or about.get("Author-email") or f"the authors of {found.name}"
        place = f"{SITE}/{found.name.replace('-', '_').lower()}*"
        text = f"Its text is in {found.name}-{found.version}.dist-info."
        told.append(f"Files: {place}\nCopyright: {holder}\nLicense: {licence.splitlines()[0]}\n {text}\n")
    (doc / "copyright").write_text("\n".join(told), encoding="utf-8")
    epoch_s = int(os.environ.get("SOURCE_DATE_EPOCH", (ROOT / "CHANGELOG.md").stat().st_mtime))
    signed = f" -- {MAINTAINER}  {formatdate(epoch_s)}"
    log = f"balise ({version}) unstable; urgency=medium\n\n  * What is new: CHANGELOG.md of this version.\n\n{signed}\n"
    overrides = tree / "usr/share/lintian/overrides"
    overrides.mkdir(parents=True)
    (overrides / "balise").write_text(OVERRIDES, encoding="utf-8")
    with gzip.GzipFile(doc / "changelog.gz", "wb", compresslevel=9, mtime=0) as file:
        file.write(log.encode())


def _control(tree: Path, version: str) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    for path in (*files, *(path for path in tree.rglob("*") if path.is_dir())):
        path.chmod(0o755 if path.is_dir() or path == tree / HOME / "bin/balise" else 0o644)
    debian = tree / "DEBIAN"
    debian.mkdir()
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files]
    (debian / "md5sums").write_text("".join(sums), encoding="utf-8")
    depends = ", ".join(f"python3-{name} (>= {least})" for name, least in FROM_DEBIAN.items())
    size_kib = sum(path.stat().st_size for path in files) // 1024
    told = {
        "suggests": SUGGESTS,
        "version": version,
        "maintainer": MAINTAINER,
        "depends": depends,
        "size_kib": size_kib,
    }
    (debian / "control").write_text(CONTROL.format(**told), encoding="utf-8")
    for name, text in (("postinst", POSTINST), ("prerm", PRERM)):
        (debian / name).write_text(text.format(home=HOME, site=SITE), encoding="utf-8")
        (debian / name).chmod(0o755)


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    place.mkdir(parents=True, exist_ok=True)
    print(main(place))
